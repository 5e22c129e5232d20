#include <catch2/catch.hpp>

#include "protocol/credential_kinds.h"
#include "protocol/sealed.h"

using namespace mill;
using namespace mill::protocol;
using Catch::Contains;

namespace {

std::string why_not(std::string_view kind, std::string_view document)
{
    const auto read = read_machine_credential(kind, *parse_json(document));
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Errc::invalid);
    CHECK_THAT(read.error().what, !Contains("s3cret"));
    return read.error().what;
}

}  // namespace

TEST_CASE("a machine's credential has the members of its kind", "[protocol][credentials]")
{
    const auto read = read_machine_credential("login", *parse_json(R"({"username":"anna","password":"s3cret"})"));
    REQUIRE(read);
    CHECK(read->values == *parse_json(R"({"username":"anna","password":"s3cret"})"));
    CHECK(read->hosts.empty());
    CHECK_THAT(why_not("login", R"({"username":"anna"})"), Contains("lacks 'password', which kind login needs"));
    CHECK_THAT(why_not("login", R"({"username":"anna","password":"s3cret","pin":"s3cret"})"), Contains("has 'pin', which kind login does not know"));
    CHECK_THAT(why_not("login", R"({"username":"anna","password":5})"), Contains("'password' of type"));
    CHECK_THAT(why_not("bearer", R"("s3cret")"), Contains("must hold members"));
    CHECK_THAT(why_not("generic", "{}"), Contains("is empty"));
    CHECK(read_machine_credential("", *parse_json(R"({"anything":"s3cret"})")));
}

TEST_CASE("a machine's credential may say its kind and where it goes at most", "[protocol][credentials]")
{
    const auto read = read_machine_credential("bearer", *parse_json(R"({"kind":"bearer","token":"s3cret","hosts":["https://erp.example.com"]})"));
    REQUIRE(read);
    CHECK(read->values == *parse_json(R"({"token":"s3cret"})"));
    CHECK(read->hosts == std::vector<std::string>{"https://erp.example.com"});
    CHECK_THAT(why_not("login", R"({"kind":"bearer","token":"s3cret"})"), Contains("is of kind bearer, the factory says login"));
    CHECK_THAT(why_not("", R"({"kind":"s3cret","token":"s3cret"})"), Contains("'kind' that there is not"));
    CHECK_THAT(why_not("", R"({"kind":"bearer","pass":"s3cret"})"), Contains("lacks 'token'"));
    CHECK_THAT(why_not("bearer", R"({"token":"s3cret","hosts":"s3cret"})"), Contains("'hosts' that is no list"));
    CHECK_THAT(why_not("bearer", R"({"token":"s3cret","hosts":[1]})"), Contains("host that is no text"));
}

TEST_CASE("what was boxed is read again, and what is no box says nothing of what it holds", "[protocol][sealed]")
{
    const Boxed boxed{*parse_json(R"({"erp":{"token":"s3cret"}})"), *parse_json(R"({"crm":{"name":"crm-prod","kind":"login","hosts":[]}})")};
    const auto read = read_boxed(boxed_text(boxed));
    REQUIRE(read);
    CHECK(read->credentials == boxed.credentials);
    CHECK(read->machine == boxed.machine);
    for (const char* text : {"", "s3cret", R"({"credentials":"s3cret","machine":{}})", R"({"credentials":{"erp":"s3cret"},"machine":{}})", R"({"credentials":{}})",
                             R"({"credentials":{},"machine":{"erp":["s3cret"]}})", R"({"credentials":{},"machine":{}} s3cret)"}) {
        const auto wrong = read_boxed(text);
        REQUIRE_FALSE(wrong);
        CHECK(wrong.error().code == Errc::corrupt);
        CHECK_THAT(wrong.error().what, !Contains("s3cret"));
    }
}
