#include <catch2/catch.hpp>

#include "platform/base/yaml.h"

using namespace mill;

namespace {

std::string value(const std::string& text)
{
    const auto parsed = parse_yaml(text);
    return parsed ? dump_json(parsed->value) : parsed.error().what;
}

}  // namespace

TEST_CASE("plain scalars are resolved by YAML 1.2's core schema, quoted ones are strings", "[yaml]")
{
    CHECK(value("[1, -2, +3, 0x1F, 0o17, 1.5, .5, 1., 1e3, -1.5E-2]") == "[1,-2,3,31,15,1.5,0.5,1,1000,-0.015]");
    CHECK(value("[true, True, FALSE, null, ~, Null]") == "[true,true,false,null,null,null]");
    CHECK(value("[yes, no, on, off, y, 017, 1_000, 1.0.3, 12:30, '1', \"true\", 0x, 1e]") ==
          R"(["yes","no","on","off","y",17,"1_000","1.0.3","12:30","1","true","0x","1e"])");
    CHECK(value("on: 1") == R"({"on":1})");
    CHECK(value("a:") == R"({"a":null})");
    CHECK(value("") == "null");
    CHECK(value("[9223372036854775807]") == "[9223372036854775807]");
    CHECK(value("t: |\n  a\n  b\n") == R"({"t":"a\nb\n"})");
}

TEST_CASE("what could mislead is refused with its place", "[yaml]")
{
    CHECK(value("a: 1\nb: 2\na: 3\n") == "3:1: the key 'a' stands here twice");
    CHECK(value("a: &x 1\nb: *x\n").find("1:4: anchors") == 0);
    CHECK(value("a: !!str 1\n").find("tags") != std::string::npos);
    CHECK(value("a: !own { b: 1 }\n").find("tags") != std::string::npos);
    CHECK(value("<<: { a: 1 }\n").find("merge keys") != std::string::npos);
    CHECK(value("1: a\n") == "1:1: the key 1 is not a string: quote it");
    CHECK(value("true: a\n").find("quote it") != std::string::npos);
    CHECK(value("? [a]\n: b\n").find("a key must be a string") != std::string::npos);
    CHECK(value("a: 1\n---\nb: 2\n").find("second document") != std::string::npos);
    CHECK(value("a: 9223372036854775808\n").find("does not fit 64 bits") != std::string::npos);
    CHECK(value("a: .nan\n").find("no JSON form") != std::string::npos);
    CHECK(value("a: \x01\n").find("1:4:") == 0);
    CHECK(value("a: \xff\n").find("not UTF-8") != std::string::npos);
    CHECK(value("a: [1, 2\n").find(":") != std::string::npos);
    CHECK(value("\"a\",\n") == "1:4: nothing can stand here");
    CHECK(value("'a'\n}") == "2:1: illegal flow end");
    CHECK_FALSE(parse_yaml("a: b: c\n"));
    CHECK_FALSE(parse_yaml("a:\n\t- b\n"));
}

TEST_CASE("size, nodes and depth have their limits, and no input takes the process down", "[yaml]")
{
    CHECK(parse_yaml(std::string(2 * 1024 * 1024, ' ')).error().code == Errc::too_large);
    CHECK_FALSE(parse_yaml(std::string(10'000, '[')));
    CHECK(parse_yaml(std::string(100, '[') + std::string(100, ']')).error().code == Errc::too_large);
    CHECK_FALSE(parse_yaml(std::string(10'000, '{')));
    std::string nested;
    for (int i = 0; i < 300; ++i) nested += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
    CHECK(parse_yaml(nested).error().code == Errc::too_large);
    CHECK(parse_yaml("[1,2,3,4,5]", {.bytes = 100, .nodes = 5, .depth = 3}).error().code == Errc::too_large);
    CHECK(parse_yaml("[1,2,3,4]", {.bytes = 100, .nodes = 5, .depth = 3}).has_value());
}

TEST_CASE("every node has its place; a member's is its key's", "[yaml]")
{
    const auto parsed = parse_yaml("a:\n  - x: 1\n    y~/z: 2\n  - 5\nb: text\n");
    REQUIRE(parsed);
    const auto at = [&](const char* pointer) { return std::pair(parsed->mark(pointer).line, parsed->mark(pointer).column); };
    CHECK(at("/a") == std::pair(1, 1));
    CHECK(at("/a/0/x") == std::pair(2, 5));
    CHECK(at("/a/0/y~0~1z") == std::pair(3, 5));
    CHECK(at("/a/1") == std::pair(4, 5));
    CHECK(at("/b") == std::pair(5, 1));
    CHECK(at("/b/none/deeper") == std::pair(5, 1));
}

TEST_CASE("a stream gives each of its documents", "[yaml]")
{
    const auto stream = parse_yaml_stream("a: 1\n---\nb: 2\n---\n- 3\n");
    REQUIRE(stream);
    REQUIRE(stream->size() == 3);
    CHECK((*stream)[1].value["b"] == Json(2));
    CHECK((*stream)[1].mark("/b").line == 3);
}

TEST_CASE("dump_yaml writes what parse_yaml reads back", "[yaml]")
{
    for (const char* text : {R"({"a":1,"b":[1,2.5,"x",null,true],"c":{"d":{},"e":[]},"f":"text with: colon # and","g":"","h":"multi\nline","i":"true","j":"1.0","k":"- a","l":[[1,[2]],{"x":[{"y":1}]}]})",
                             R"([])", R"("x")", "5", R"([{"a":1,"b":2},[[]],{"on":"yes","no":"~"}])", R"({"weird key":1,"1":2,"null":3,"a:b":"c\td","é":"ü"})"}) {
        const Json original = parse_json(text).value_or(Json());
        const std::string yaml = dump_yaml(original);
        INFO(yaml);
        const auto back = parse_yaml(yaml);
        REQUIRE(back);
        CHECK(dump_json(back->value) == dump_json(original));
    }
}
