#include <catch2/catch.hpp>

#include "factory/check/report.h"

using namespace mill;
using namespace mill::factory;
using Catch::Contains;

namespace {

const std::string kManifest = R"({"name":"demo","version":"1.0.0","workflows":{"main":"main.yaml"},"permissions":{},"repeatable":false})";

std::string report(const std::string& more, bool valid = true, const std::string& findings = "[]")
{
    return R"({"valid":)" + std::string(valid ? "true" : "false") + R"(,"findings":)" + findings + more + "}";
}

}  // namespace

TEST_CASE("a report is read into manifest, inputs and findings", "[factory][checks]")
{
    const auto good = parse_package_report(report(R"(,"manifest":)" + kManifest + R"(,"inputs":{"main":{"type":"object"}})", true,
                                                  R"([{"level":"warning","file":"main.yaml","line":3,"column":5,"text":"careful"}])"));
    REQUIRE(good);
    CHECK(good->valid);
    CHECK(good->manifest.name == "demo");
    CHECK(good->inputs["main"]["type"] == Json("object"));
    REQUIRE(good->findings.size() == 1);
    CHECK_FALSE(good->findings[0].error);
    CHECK(good->findings[0].text == "main.yaml:3:5: warning: careful");

    const auto bad = parse_package_report(report("", false, R"([{"level":"error","file":"a","line":1,"column":1,"text":"two\nlines"}])"));
    REQUIRE(bad);
    CHECK_FALSE(bad->valid);
    CHECK(bad->findings[0].text == "a:1:1: two lines");

    const auto none = parse_package_report(report(R"(,"error":{"code":"too large","text":"'a' is larger than 64 MiB"})", false));
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Errc::too_large);
    CHECK(none.error().what == "not a package: 'a' is larger than 64 MiB");
}

TEST_CASE("what is no report is refused, whatever it is", "[factory][checks]")
{
    const std::string inputs = R"(,"inputs":{"main":null})";
    for (const std::string& text : {std::string(), std::string("hello"), std::string("{}"), std::string(R"({"valid":true})"), std::string("[1]"), std::string(5000, '['),
                                    report(""), report(R"(,"manifest":{"name":"demo"})" + inputs), report(R"(,"manifest":)" + kManifest),
                                    report(R"(,"manifest":)" + kManifest + R"(,"inputs":{"other":null})"), report(R"(,"manifest":)" + kManifest + R"(,"inputs":{"main":7})"),
                                    report("", false), report(R"(,"manifest":)" + kManifest + inputs, true, R"([{"text":"an error"}])"),
                                    std::string("{\"valid\":true,\"findings\":[],\"x\":\"") + '\xff' + "\"}"}) {
        INFO(text.substr(0, 100));
        const auto read = parse_package_report(text);
        REQUIRE_FALSE(read);
        CHECK(read.error().code == Errc::corrupt);
        CHECK_THAT(read.error().what, Contains("report is not to be read"));
        CHECK(read.error().what.size() < 700);
        CHECK_FALSE(parse_input_report(text));
    }
    CHECK_FALSE(parse_package_report(std::string(kMostReport + 1, ' ')));
}

TEST_CASE("findings and mistakes are bounded in number and length", "[factory][checks]")
{
    std::string many = "[", mistakes = R"({"mistakes":[)";
    for (int i = 0; i < 1000; ++i) {
        many += std::string(i == 0 ? "" : ",") + R"({"level":"error","file":"a","line":1,"column":1,"text":")" + std::string(2000, 'x') + "\"}";
        mistakes += std::string(i == 0 ? "" : ",") + "\"" + std::string(2000, 'y') + "\"";
    }
    const auto read = parse_package_report(report("", false, many + "]"));
    REQUIRE(read);
    CHECK(read->findings.size() <= 201);
    CHECK(read->findings[0].text.size() < 600);
    const auto input = parse_input_report(mistakes + "]}");
    REQUIRE(input);
    CHECK(input->size() == 20);
    CHECK((*input)[0].size() < 600);
}

TEST_CASE("a line for a person keeps whole characters", "[factory][checks]")
{
    CHECK(one_line("a\tb\nc\n") == "a b c");
    CHECK(one_line("äöü", 3) == "ä…");
    CHECK(one_line("äöü", 4) == "äö…");
    CHECK(one_line("abc", 3) == "abc");
}
