#include <catch2/catch.hpp>

#include "factory/resources/callbacks.h"

using namespace mill;
using namespace mill::factory;

namespace {

Json trigger(std::string_view callbacks) { return Json::object({{"name", "t"}, {"callbacks", *parse_json(callbacks)}}); }

std::string said(std::string_view document)
{
    const Json json = *parse_json(document);
    Fields fields(json, "trigger");
    Json out = Json::object();
    read_callbacks(fields, out);
    const auto done = fields.done();
    return done ? dump_json(out) : done.error().what;
}

}  // namespace

TEST_CASE("a caller's address is one of the trigger's list: host and port as they stand, the path by its pattern", "[api][callbacks]")
{
    const Json list = trigger(R"(["https://a.example.com/hooks/*", "https://b.example.com:8443/done"])");
    for (const char* fine : {"https://a.example.com/hooks/1", "https://A.example.com:443/hooks/1/2?x=/y", "https://b.example.com:8443/done"}) {
        CAPTURE(fine);
        CHECK(callback_mistake(list, fine).empty());
    }
    for (const char* wrong : {"https://a.example.com/hook", "https://a.example.com/other/hooks/1", "http://a.example.com/hooks/1", "https://a.example.com:444/hooks/1", "https://a.example.com.evil.com/hooks/1",
                              "https://evil.com/https://a.example.com/hooks/1", "https://a.example.com/hooks/../x", "https://a.example.com/hooks/%2E%2e/x", "https://a.example.com/hooks//x", "https://a.example.com/hooks/a%2f..",
                              "https://me@a.example.com/hooks/1", "https://a.example.com/hooks/${ .output }", "https://a.example.com/hooks/1#x", "https://b.example.com:8443/done?x=1", "https://b.example.com/done", "ftp://a.example.com/hooks/1", "x", ""}) {
        CAPTURE(wrong);
        CHECK_FALSE(callback_mistake(list, wrong).empty());
    }
    CHECK_THAT(callback_mistake(list, "https://evil.com/"), Catch::Contains("'t' allows: https://a.example.com/hooks/*, https://b.example.com:8443/done"));
    CHECK_THAT(callback_mistake(trigger("[]"), "https://a.example.com/hooks/1"), Catch::Contains("has no 'callbacks'"));
}

TEST_CASE("a list of callbacks has fixed hosts", "[api][callbacks]")
{
    CHECK(said(R"({"callbacks": ["https://a.example.com/x*"], "callbackSecret": "signing"})") == R"({"callbacks":["https://a.example.com/x*"],"callbackSecret":"signing"})");
    CHECK(said("{}") == "{}");
    for (const char* wrong : {R"({"callbacks": ["https://*.example.com/x"]})", R"({"callbacks": ["https://*"]})", R"({"callbacks": ["a.example.com/x"]})", R"({"callbacks": ["https://a.example.com/../x"]})", R"({"callbacks": ["https://a.example.com/x?*"]})"}) {
        CAPTURE(wrong);
        CHECK_THAT(said(wrong), Catch::Contains("in its path only"));
    }
    CHECK_THAT(said(R"({"callbackSecret": "signing"})"), Catch::Contains("of no use without"));
    CHECK_THAT(said(R"({"callbacks": ["https://a.example.com/x"], "callbackSecret": "the secret ITSELF"})"), Catch::Contains("names a credential") && !Catch::Contains("ITSELF"));
}
