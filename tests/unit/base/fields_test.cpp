#include <catch2/catch.hpp>

#include "platform/base/fields.h"

using namespace mill;

TEST_CASE("all members that are right are read, and nothing is reported", "[base][fields]")
{
    const Json json = *parse_json(R"({"name":"n","count":3,"on":true,"list":["a","b"],"one":"x","object":{"k":1},"kind":"api","none":null})");
    Fields fields(json, "thing");
    CHECK(fields.text("name") == "n");
    CHECK(fields.integer("count", 1, 5) == 3);
    CHECK(fields.boolean("on"));
    CHECK(fields.texts("list") == std::vector<std::string>{"a", "b"});
    CHECK(fields.texts("one") == std::vector<std::string>{"x"});
    CHECK(fields.object("object")["k"].as_integer() == 1);
    CHECK(fields.one_of("kind", {"api", "chat"}) == "api");
    CHECK(fields.text("none", "fallback") == "fallback");
    CHECK(fields.integer("absent", 0, 9, 7) == 7);
    CHECK(fields.texts("absent list").empty());
    CHECK(fields.done());
}

TEST_CASE("every mistake is reported at once, with the place and the member", "[base][fields]")
{
    const Json json = *parse_json(R"({"name":7,"empty":"","count":9,"half":1.5,"on":"yes","list":[1],"object":[],"kind":"mail","extra":1})");
    Fields fields(json, "notifier 'x'");
    (void)fields.text("name");
    (void)fields.text("empty");
    (void)fields.text("absent");
    (void)fields.integer("count", 1, 5);
    (void)fields.integer("half", 1, 5);
    (void)fields.boolean("on");
    (void)fields.texts("list");
    (void)fields.object("object");
    (void)fields.one_of("kind", {"api", "chat"});
    const auto done = fields.done();
    REQUIRE_FALSE(done);
    CHECK(done.error().code == Errc::invalid);
    for (const char* part : {"notifier 'x': ", "'name' must be a string, found number", "'empty' is empty", "'absent' is missing", "'count' must be a whole number from 1 to 5", "'half'",
                             "'on' must be true or false", "'list' must hold strings only", "'object' must be an object", "must be one of api, chat; found 'mail'", "'extra' is not known here"})
        CHECK_THAT(done.error().what, Catch::Contains(part));
}

TEST_CASE("what is no object is one mistake, and unknown members can be allowed", "[base][fields]")
{
    Fields list(Json::array(), "body");
    (void)list.text("name");
    CHECK(list.done().error().what == "body: expected an object, found array");
    Fields lenient(Json::object({{"later", 1}}), "body");
    lenient.ignore_unknown();
    CHECK(lenient.done());
}
