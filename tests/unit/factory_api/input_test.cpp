#include <catch2/catch.hpp>

#include "platform/base/encode.h"
#include "tests/unit/factory_api/factory.h"
#include "workflows/package.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using Catch::Contains;

namespace {

void is_problem(const Answer& answer, int status)
{
    INFO(answer.text);
    CHECK(answer.status == status);
    CHECK(answer.type == "application/problem+json");
    CHECK(answer.json["status"] == Json(status));
    CHECK_FALSE(answer.detail().empty());
}

}  // namespace

TEST_CASE("bad input of every kind gets a problem document that says what was expected", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    constexpr std::string_view runs = "/v1/triggers/order-status-api/runs";

    SECTION("an unknown path, and a method that is not possible")
    {
        is_problem(factory.call("GET", "/v1/nothing"), 404);
        const Answer wrong = factory.call("DELETE", "/healthz");
        is_problem(wrong, 405);
        CHECK(wrong.headers.at("Allow") == "GET");
    }
    SECTION("no token, a token that is none, one of another factory, one that was tampered with")
    {
        const Answer none = factory.call("GET", "/v1/jobs");
        is_problem(none, 401);
        CHECK_THAT(none.headers.at("WWW-Authenticate"), Contains("Bearer"));
        is_problem(factory.with_token("hunter2", "GET", "/v1/jobs"), 401);
        is_problem(factory.with_token("mw_admin_abcdefghijkl_" + std::string(64, '0'), "GET", "/v1/jobs"), 401);
        std::string tampered = factory.admin;
        tampered.back() = tampered.back() == '0' ? '1' : '0';
        const Answer wrong = factory.with_token(tampered, "GET", "/v1/jobs");
        is_problem(wrong, 401);
        CHECK_THAT(wrong.text, !Contains(tampered.substr(20)));
    }
    SECTION("broken JSON, a body of another type, and one that is nested too deeply")
    {
        is_problem(factory.as_admin("POST", runs, "{\"input\":"), 400);
        is_problem(factory.as_admin("POST", runs, "a=b", {{"content-type", "application/x-www-form-urlencoded"}}), 415);
        is_problem(factory.as_admin("POST", runs, std::string(100, '[') + std::string(100, ']')), 413);
        is_problem(factory.as_admin("POST", runs, R"({"input":{},"input":{}})"), 400);
    }
    SECTION("unknown members and unknown query names")
    {
        const Answer member = factory.as_admin("POST", runs, R"({"imput":{}})");
        is_problem(member, 400);
        CHECK_THAT(member.detail(), Contains("'imput' is not known here"));
        const Answer query = factory.as_admin("GET", "/v1/jobs?stat=ready");
        is_problem(query, 400);
        CHECK_THAT(query.detail(), Contains("'stat'") && Contains("state"));
        is_problem(factory.as_admin("GET", "/v1/jobs?state=sleeping"), 400);
        is_problem(factory.as_admin("GET", "/v1/jobs?limit=0"), 400);
    }
    SECTION("too large")
    {
        is_problem(factory.as_admin("POST", runs, R"({"input":{"order":")" + std::string(1024 * 1024, 'x') + "\"}}"), 413);
    }
    SECTION("a placeholder that was sent as it stands")
    {
        const Answer literal = factory.as_admin("POST", runs, R"({"invocationContext":"${invocation_context}","input":{"order":"1"}})");
        is_problem(literal, 400);
        CHECK_THAT(literal.detail(), Contains("${invocation_context}") && Contains("placeholder"));
        CHECK(literal.json["type"] == Json("urn:millwright:problem:placeholder"));
    }
    SECTION("input that does not fit the workflow's schema")
    {
        const Answer wrong = factory.as_admin("POST", runs, R"({"input":{"order":17}})");
        is_problem(wrong, 400);
        CHECK_THAT(wrong.detail(), Contains("/order"));
        is_problem(factory.as_admin("POST", runs), 400);
    }
    SECTION("an unknown trigger")
    {
        const Answer unknown = factory.as_admin("POST", "/v1/triggers/nothing/runs", "{}");
        is_problem(unknown, 404);
        CHECK_THAT(unknown.detail(), Contains("'nothing'"));
    }
    // Nothing half done in any of the sections.
    CHECK(factory.as_admin("GET", "/v1/jobs").json["items"].empty());
}

TEST_CASE("a package is stored when its bytes are what was announced and all of it is valid", "[factory][api]")
{
    Factory factory;
    const std::string& bytes = test::order_status();
    const std::string digest = workflows::package_digest(bytes);
    const test::Headers binary{{"content-type", "application/octet-stream"}};
    const std::string path = "/v1/packages/order-status/1.2.0";

    SECTION("bytes that do not match")
    {
        std::string other = bytes;
        other[other.size() / 2] = static_cast<char>(other[other.size() / 2] ^ 1);
        const Answer answer = factory.as_admin("PUT", path + "?digest=" + digest, other, binary);
        is_problem(answer, 422);
        CHECK_THAT(answer.detail(), Contains(digest));
        CHECK(factory.as_admin("GET", "/v1/packages").json["items"].empty());
    }
    SECTION("no digest, or one that is none")
    {
        is_problem(factory.as_admin("PUT", path, bytes, binary), 400);
        is_problem(factory.as_admin("PUT", path + "?digest=sha256:abc", bytes, binary), 400);
    }
    SECTION("no package at all")
    {
        const std::string junk = "this is no archive";
        is_problem(factory.as_admin("PUT", path + "?digest=" + workflows::package_digest(junk), junk, binary), 400);
    }
    SECTION("another name than the package's own")
    {
        const Answer answer = factory.as_admin("PUT", "/v1/packages/order-status/2.0.0?digest=" + digest, bytes, binary);
        is_problem(answer, 400);
        CHECK_THAT(answer.detail(), Contains("1.2.0"));
    }
    SECTION("the right bytes, by header, twice, and then others under the same version")
    {
        const std::string header = "sha-256=" + to_base64(*from_hex(digest.substr(7)));
        test::Headers with_header = binary;
        with_header.emplace_back("digest", header);
        CHECK(factory.as_admin("PUT", path, bytes, with_header).status == 201);
        CHECK(factory.as_admin("PUT", path, bytes, with_header).status == 200);
        const Answer stored = factory.as_admin("GET", path);
        CHECK(stored.json["digest"] == Json(digest));
        CHECK(factory.as_admin("GET", path + "/archive").text == bytes);
        CHECK(factory.as_admin("GET", "/v1/packages").json["items"].size() == 1);
        is_problem(factory.as_admin("GET", "/v1/packages/order-status/3.0.0"), 404);
    }
}

TEST_CASE("documents are applied whole or not at all, in the order that they need", "[factory][api]")
{
    Factory factory;
    SECTION("one wrong document, and nothing is written")
    {
        const Answer answer = factory.as_admin("POST", "/v1/apply", R"({"documents":[{"kind":"Environment","name":"e"},{"kind":"Environment","name":"f","agent":["x"]},
                                                                     {"kind":"Trigger","name":"t","deployment":"nothing"}]})");
        is_problem(answer, 400);
        CHECK(answer.json["errors"].size() == 2);
        CHECK(answer.json["errors"][test::kFirst]["index"] == Json(1));
        CHECK_THAT(answer.detail(), Contains("nothing was written") && Contains("'agent' is not known here") && Contains("deployment 'nothing'"));
        CHECK(factory.as_admin("GET", "/v1/environments/e").status == 404);
    }
    SECTION("a dry run shows the differences and writes nothing")
    {
        const Answer dry = factory.as_admin("POST", "/v1/apply", R"({"dryRun":true,"documents":[{"kind":"Environment","name":"e"}]})");
        CHECK(dry.status == 200);
        CHECK(dry.json["results"][test::kFirst]["result"] == Json("created"));
        CHECK(factory.as_admin("GET", "/v1/environments/e").status == 404);
    }
    SECTION("what is the same stays unchanged, what differs is shown")
    {
        factory.deploy();
        const Answer again = factory.as_admin("PUT", "/v1/environments/it-services", R"({"agents":["srv-*"]})");
        CHECK(again.status == 200);
        CHECK(again.json["status"]["generation"] == Json(1));
        const Answer dry = factory.as_admin("PUT", "/v1/triggers/order-status-api?dryRun=true", R"({"deployment":"order-status","input":{"region":"us"}})");
        CHECK(dry.json["result"] == Json("changed"));
        CHECK(dry.json["differences"] == *parse_json(R"([{"path":"/input/region","from":"eu","to":"us"}])"));
        const Answer changed = factory.as_admin("PUT", "/v1/triggers/order-status-api", R"({"deployment":"order-status","input":{"region":"us"}})");
        CHECK(changed.json["status"]["generation"] == Json(2));
        const Answer deployment = factory.as_admin("GET", "/v1/deployments/order-status");
        CHECK(factory.as_admin("PUT", "/v1/deployments/order-status", deployment.text).json["status"]["generation"] == Json(1));   // what get shows goes back
    }
    SECTION("what others refer to is not removed")
    {
        factory.deploy();
        is_problem(factory.as_admin("DELETE", "/v1/deployments/order-status"), 409);
        CHECK(factory.as_admin("DELETE", "/v1/triggers/order-status-api").status == 204);
        CHECK(factory.as_admin("DELETE", "/v1/deployments/order-status").status == 204);
        is_problem(factory.as_admin("DELETE", "/v1/deployments/order-status"), 404);
    }
}

TEST_CASE("credentials come back without their values", "[factory][api]")
{
    Factory factory;
    const Answer stored = factory.as_admin("PUT", "/v1/credentials/bot", R"({"kind":"sap-cai","value":{"tokenUrl":"https://t","clientId":"id-1","clientSecret":"s-ecret","botToken":"b-oken"},"hosts":["https://api.cai.tools.sap"]})");
    INFO(stored.text);
    CHECK(stored.status == 201);
    const Answer listed = factory.as_admin("GET", "/v1/credentials");
    CHECK(listed.json["items"][test::kFirst]["kind"] == Json("sap-cai"));
    CHECK(listed.json["items"][test::kFirst]["members"].size() == 4);
    for (const std::string_view secret : {"s-ecret", "b-oken", "id-1"}) {
        CHECK_THAT(stored.text, !Contains(std::string(secret)));
        CHECK_THAT(listed.text, !Contains(std::string(secret)));
    }
    is_problem(factory.as_admin("PUT", "/v1/credentials/bot", R"({"kind":"basic","value":{"username":"u"}})"), 400);
    CHECK(factory.as_admin("DELETE", "/v1/credentials/bot").status == 204);
}
