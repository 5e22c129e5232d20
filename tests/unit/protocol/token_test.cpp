#include <catch2/catch.hpp>

#include "platform/base/redact.h"
#include "protocol/problem.h"
#include "protocol/states.h"
#include "protocol/token.h"

using namespace mill;
using namespace mill::protocol;

TEST_CASE("a made token is read back with its kind and id", "[protocol][token]")
{
    const Token token = make_token("admin");
    const auto read = parse_token(token.text);
    REQUIRE(read);
    CHECK(read->kind == "admin");
    CHECK(read->id == token.id);
    CHECK(token.id.size() == 12);
    CHECK(make_token("admin").text != token.text);
}

TEST_CASE("what is no token is refused without showing it", "[protocol][token]")
{
    const std::string good = make_token("user").text;
    for (const std::string& text : {std::string(), std::string("mw_"), good + "0", good.substr(1), "mw__" + good.substr(8), "MW" + good.substr(2), good.substr(0, good.size() - 1) + "/"}) {
        const auto read = parse_token(text);
        REQUIRE_FALSE(read);
        CHECK_THAT(read.error().what, !Catch::Contains(good.substr(20, 10)));
    }
}

TEST_CASE("a token in a text loses its secret even when nobody registered it", "[protocol][token]")
{
    const Token token = make_token("trigger");
    const std::string shown = redacted("authorization: Bearer " + token.text + ".");
    CHECK_THAT(shown, Catch::Contains(token.id) && !Catch::Contains(token.text.substr(token.text.size() - 20)));
}

TEST_CASE("a problem document has type, title, status and detail", "[protocol][problem]")
{
    CHECK(dump_json(problem(404, "no job 'x'")) == R"({"type":"about:blank","title":"Not Found","status":404,"detail":"no job 'x'"})");
    CHECK(problem(409, "late", "final")["type"].as_string() == "urn:millwright:problem:final");
    CHECK(problem(Error{Errc::too_large, "big"})["status"].as_integer() == 413);
}

TEST_CASE("every state and reason reads back from its spelling", "[protocol][states]")
{
    for (int i = 0; i <= static_cast<int>(JobState::expired); ++i) CHECK(parse_state(name(static_cast<JobState>(i))) == static_cast<JobState>(i));
    for (int i = 0; i <= static_cast<int>(Reason::internal); ++i) CHECK(parse_reason(name(static_cast<Reason>(i))) == static_cast<Reason>(i));
    CHECK_FALSE(parse_state("Ready"));
}
