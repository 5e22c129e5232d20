#include <catch2/catch.hpp>

#include "studio/console/assets.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using Catch::Contains;

TEST_CASE("a build without the console says so", "[factory][api][console]")
{
    if (!studio::console_assets().empty()) return;
    Factory factory;
    const Answer page = factory.call("GET", "/");
    CHECK(page.status == 404);
    CHECK_THAT(page.detail(), Contains("MILL_CONSOLE=OFF") && Contains("millwright"));
}

TEST_CASE("the console's files come without a token, named by type, under a strict policy", "[factory][api][console]")
{
    if (studio::console_assets().empty()) return;
    Factory factory;
    const std::map<std::string, std::string> types = {{"/", "text/html; charset=utf-8"}, {"/console/console.js", "text/javascript; charset=utf-8"},
                                                      {"/console/console.css", "text/css; charset=utf-8"}, {"/console/icon.svg", "image/svg+xml"}};
    for (const auto& [path, type] : types) {
        INFO(path);
        Answer answer = factory.call("GET", path);
        CHECK(answer.status == 200);
        CHECK(answer.type == type);
        CHECK(answer.text.size() > 100);
        const std::string& policy = answer.headers["Content-Security-Policy"];
        CHECK_THAT(policy, Contains("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';") && Contains("form-action 'none'") &&
                               Contains("frame-ancestors 'none'") && Contains("base-uri 'none'") && Contains("require-trusted-types-for 'script'") && !Contains("unsafe"));
        CHECK(answer.headers["X-Content-Type-Options"] == "nosniff");
        CHECK(answer.headers["Referrer-Policy"] == "no-referrer");
        CHECK(answer.headers["Cross-Origin-Opener-Policy"] == "same-origin");
        CHECK(answer.headers["Cache-Control"] == "no-cache");
    }
    CHECK_THAT(factory.call("GET", "/console/nothing.js").detail(), Contains("no file 'nothing.js'"));
    CHECK(factory.call("GET", "/console/../admin-token").status == 404);
    CHECK(factory.call("GET", "/?token=mw_x").status == 400);   // nobody gets used to tokens in addresses
    CHECK(factory.call("POST", "/").status == 405);
}

TEST_CASE("the console's files are asked for again only when they changed, and compressed for those who take it", "[factory][api][console]")
{
    if (studio::console_assets().empty()) return;
    Factory factory;
    Answer plain = factory.call("GET", "/console/console.js");
    Answer packed = factory.call("GET", "/console/console.js", "", {{"accept-encoding", "br, gzip;q=0.8"}});
    CHECK(packed.headers["Content-Encoding"] == "gzip");
    CHECK(packed.text.substr(0, 2) == "\x1f\x8b");
    CHECK(packed.text.size() < plain.text.size() / 2);
    CHECK_FALSE(plain.headers.contains("Content-Encoding"));
    CHECK(plain.headers["ETag"] != packed.headers["ETag"]);   // strong ones name bytes
    CHECK(plain.headers["Vary"] == "Accept-Encoding");
    for (const char* refused : {"gzip;q=0", "gzip; q=0.0", "identity", "x-gzip"}) CHECK_FALSE(factory.call("GET", "/", "", {{"accept-encoding", refused}}).headers.contains("Content-Encoding"));

    const auto known = [&](const std::string& tags) { return factory.call("GET", "/console/console.js", "", {{"if-none-match", tags}}); };
    Answer same = known("\"other\", " + plain.headers["ETag"]);
    CHECK(same.status == 304);
    CHECK(same.text.empty());
    CHECK(same.headers["ETag"] == plain.headers["ETag"]);
    CHECK(known("*").status == 304);
    CHECK(known("\"other\"").status == 200);
    CHECK(known(packed.headers["ETag"]).status == 200);
}
