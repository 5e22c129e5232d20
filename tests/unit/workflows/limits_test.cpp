#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/archive.h"
#include "workflows/openapi.h"

using namespace mill;
using namespace mill::testing;
using Catch::Contains;

namespace {

/// The findings of a workflow that is loaded and not compiled.
std::string read(const std::string& flow)
{
    workflows::Package package;
    (void)workflows::load_document("document: { dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0 }\n" + flow, "flow.yaml", {}, package.findings);
    return findings(package);
}

std::string times(int count, const std::function<std::string(int)>& one)
{
    std::string out;
    for (int i = 0; i < count; ++i) out += one(i);
    return out;
}

}  // namespace

TEST_CASE("a workflow document has at most 1 MiB, 100,000 values and 64 levels", "[workflows][limits]")
{
    CHECK_THAT(read("do: [ { a: { set: { x: '" + std::string(1024 * 1024, 'x') + "' } } } ]"), Contains("flow.yaml:1:1: ") && Contains("at most 1048576 are read"));
    CHECK_THAT(read("do: [ { a: { set: { x: [ " + times(100'000, [](int) { return "1,"; }) + " ] } } } ]"), Contains("flow.yaml:2:") && Contains("more than 100000 nodes"));
    CHECK_THAT(read("do: [ { a: { set: { x: " + std::string(64, '[') + std::string(64, ']') + " } } } ]"), Contains("nested deeper than 64 levels"));
    CHECK(read("do: [ { a: { set: { x: " + std::string(55, '[') + std::string(55, ']') + " } } } ]").empty());
}

TEST_CASE("tasks: at most 10,000 in a document, about 20 lists within each other, 100 branches", "[workflows][limits][slow]")
{
    const auto list = [](int count) { return "do:\n" + times(count, [](int i) { return fmt::format("- t{}: {{ set: {{ n: 1 }} }}\n", i); }); };
    CHECK(read(list(10'000)).empty());
    CHECK(read(list(10'002)) == "flow.yaml:10003:3: a workflow has at most 10000 tasks\n");
    const auto nested = [](int depth) {
        return times(depth, [](int) { return "do: [ { a: { "; }) + "set: { n: 1 }" + times(depth, [](int) { return " } } ]"; });
    };
    CHECK(read(nested(20)).empty());
    CHECK_THAT(read(nested(25)), Contains("nested deeper than 64 levels"));
    const auto fork = [](int count) { return "do: [ { f: { fork: { branches: [" + times(count, [](int i) { return fmt::format("{{ b{}: {{ set: {{ n: 1 }} }} }},", i); }) + "] } } } ]"; };
    CHECK(read(fork(100)).empty());
    CHECK_THAT(read(fork(101)), Contains("more than 100 branches"));
}

TEST_CASE("expressions: at most 20,000 characters each, 5,000 different ones for jq in a package", "[workflows][limits]")
{
    CHECK(read("do: [ { a: { set: { x: '${ [" + std::string(19'990, ' ') + "] }' } } } ]").empty());
    CHECK_THAT(read("do: [ { a: { set: { x: '${ [" + std::string(20'000, ' ') + "] }' } } } ]"), Contains("longer than 20,000 characters"));
    std::vector<workflows::Expression> many(5001);
    std::vector<workflows::Expression*> all;
    for (auto& each : many) {
        each.text = fmt::format(". + {}", all.size());
        all.push_back(&each);
    }
    std::vector<workflows::CompileError> errors;
    CHECK(workflows::compile(all, errors) == nullptr);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].expression == all.back());
    CHECK_THAT(errors[0].what, Contains("at most 5000 different expressions"));
}

TEST_CASE("a document that is all mistakes, or all names that are close to each other, is read in no more than a moment", "[workflows][limits][slow]")
{
    CHECK_THAT(read("do:\n" + times(9000, [](int i) { return fmt::format("- t{}: {{ set: {{ n: 1 }}, then: u{} }}\n", i, i); })), Contains("flow.yaml:9001:") && Contains("names 'u8999'"));
    CHECK_THAT(read("do:\n" + times(9000, [](int i) { return fmt::format("- t{}: {{ set: {{ n: 1 }}, then: t{} }}\n", i, (i + 1) % 9000); })), Catch::Equals(""));
}

TEST_CASE("a timeout that names itself is a mistake and nothing more", "[workflows][limits]")
{
    CHECK_THAT(read("use: { timeouts: { a: a } }\ndo: [ { t: { set: { n: 1 }, timeout: a } } ]"), Contains("a timeout is an object"));
}

TEST_CASE("a run ends at its bound of steps, and calls at 500 within each other", "[workflows][limits]")
{
    workflows::RunOptions options;
    options.max_steps = 100;
    const Ran steps = drive(lone("do: [ { a: { set: { n: 1 }, then: a } } ]"), Json::object(), {}, options);
    CHECK(steps.fault.title == "limit_steps");
    CHECK(steps.fault.type.ends_with("/runtime"));
    CHECK(workflows::RunOptions().max_steps == 1'000'000);
    const Ran calls = drive(lone("use: { functions: { f: { call: f } } }\ndo: [ { a: { call: f } } ]"));
    CHECK_THAT(calls.words(), Contains("more than 500 deep"));
}

TEST_CASE("an OpenAPI document has at most 8 MiB of YAML, 16 MiB of JSON, 64 levels", "[workflows][limits]")
{
    CHECK(workflows::parse_openapi("openapi: 3.0.0\n" + std::string(8 * 1024 * 1024, ' ')).error().code == Errc::too_large);
    CHECK(workflows::parse_openapi("{\"openapi\":\"3.0.0\"}" + std::string(16 * 1024 * 1024, ' ')).error().code == Errc::too_large);
    CHECK(workflows::parse_openapi("openapi: 3.0.0\nx: " + std::string(64, '[') + std::string(64, ']')).error().code == Errc::too_large);
}

TEST_CASE("a package has at most 10,000 files of 64 MiB, and a manifest of 1 MiB", "[workflows][limits][slow]")
{
    const auto packed = [](const std::string& manifest, const std::map<std::string, std::string>& files) { return workflows::write_archive(manifest, files).value_or(""); };
    std::map<std::string, std::string> files;
    for (int i = 0; i < 9'999; ++i) files[fmt::format("f{}", i)] = "";
    CHECK(workflows::read_archive(packed("{}", files)).has_value());
    files["one-more"] = "";
    CHECK(workflows::read_archive(packed("{}", files)).error().code == Errc::too_large);
    const auto large = workflows::read_archive(packed("{}", {{"zeros", std::string(64UL * 1024 * 1024 + 1, '\0')}}));
    REQUIRE_FALSE(large);
    CHECK_THAT(large.error().what, Contains("'zeros' in the package is larger than 67108864 bytes"));
    CHECK(workflows::manifest_of(packed(std::string(1024 * 1024 + 1, ' '), {})).error().code == Errc::too_large);
}
