#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;

namespace {

std::string words(const std::string& authentication, const std::string& use = "secrets: [ erp ]")
{
    return findings(*lone("use: { " + use + " }\ndo: [ { g: { call: http, with: { method: get, endpoint: { uri: 'http://x.test/', authentication: " + authentication + " } } } } ]"));
}

Answer ok(const EffectRequest&) { return {.result = json(R"({"status":200,"headers":{"Content-Type":"application/json"},"text":"{}","uri":"http://x.test/"})"), .fault = {}}; }

Ran called(const std::string& authentication, const std::string& use = "secrets: [ erp ]")
{
    return run_flow("use: { " + use + " }\ndo: [ { g: { call: http, with: { method: get, endpoint: { uri: 'http://x.test/', authentication: " + authentication + " } } } } ]",
                    json(R"({"user":"ada"})"), ok);
}

}  // namespace

TEST_CASE("each scheme of authentication is known, in place and by the name of a secret", "[workflows][authentication]")
{
    for (const char* good : {"{ use: erp }", "{ basic: { use: erp } }", "{ bearer: { use: erp } }", "{ digest: { use: erp } }", "{ oauth2: { use: erp } }", "{ oidc: { use: erp } }",
                             "{ basic: { username: a, password: '${ $secrets.erp.password }' } }", "{ digest: { username: a, password: b } }", "{ bearer: { token: '${ $secrets.erp.token }' } }",
                             "{ oauth2: { authority: 'https://a.test', grant: client_credentials, client: { id: a, secret: '${ $secrets.erp.clientSecret }', authentication: client_secret_basic }, "
                             "endpoints: { token: /t, revocation: /r, introspection: /i }, scopes: [ a, b ], audiences: [ c ], issuers: [ d ], request: { encoding: application/json } } }",
                             "{ oidc: { authority: 'https://a.test', grant: password, username: u, password: p, client: { id: a, authentication: none } } }",
                             "{ oauth2: { authority: 'https://a.test', grant: refresh_token, subject: { token: '${ $secrets.erp.refreshToken }', type: x } } }"}) {
        INFO(good);
        CHECK(words(good).empty());
    }
}

TEST_CASE("what is wrong with an authentication is named when it is loaded", "[workflows][authentication]")
{
    CHECK_THAT(words("{ certificate: {} }"), Catch::Contains("'certificate' is not supported"));
    CHECK_THAT(words("{ basic: { use: erp }, bearer: { use: erp } }"), Catch::Contains("exactly one"));
    CHECK_THAT(words("{ basic: { username: a } }"), Catch::Contains("needs 'password'"));
    CHECK_THAT(words("{ digest: { use: erq } }"), Catch::Contains("the secret 'erq' is not declared") && Catch::Contains("did you mean 'erp'"));
    CHECK_THAT(words("{ use: nobody }"), Catch::Contains("'nobody' is declared neither"));
    CHECK_THAT(words("{ oauth2: { grant: client_credentials, client: { id: a } } }"), Catch::Contains("needs 'authority'"));
    CHECK_THAT(words("{ oauth2: { authority: x, grant: authorization_code } }"), Catch::Contains("'authorization_code' is not supported: use client_credentials, password, refresh_token"));
    CHECK_THAT(words("{ oauth2: { authority: x, grant: client_credential, client: { id: a } } }"), Catch::Contains("is not known") && Catch::Contains("did you mean 'client_credentials'"));
    CHECK_THAT(words("{ oauth2: { authority: x, grant: password, client: { id: a } } }"), Catch::Contains("needs 'username'"));
    CHECK_THAT(words("{ oauth2: { authority: x, grant: client_credentials, client: { id: a, authentication: private_key_jwt } } }"), Catch::Contains("'private_key_jwt' is not supported"));
    CHECK_THAT(words("{ oauth2: { authority: x, grant: client_credentials, client: { id: a, assertion: b } } }"), Catch::Contains("'assertion' is not supported"));
    CHECK_THAT(words("{ oauth2: { authority: x, grant: client_credentials, client: { id: a }, request: { encoding: text/xml } } }"), Catch::Contains("request encoding 'text/xml'"));
    CHECK_THAT(words("{ oauth2: { authority: x, grant: client_credentials, client: { id: a }, actor: { token: b } } }"), Catch::Contains("'actor'"));
    CHECK_THAT(words("{ oidc: { authority: x, grant: client_credentials, client: { id: a }, endpoints: {} } }"), Catch::Contains("discovery"));
    CHECK_THAT(words("{ oauth2: { authority: x, grant: client_credentials, client: { id: a }, scope: b } }"), Catch::Contains("has no 'scope'") && Catch::Contains("'scopes'"));
    CHECK_THAT(words("{ use: one }", "authentications: { one: { use: two }, two: { basic: { username: a, password: b } } }"), Catch::Contains("names a secret"));
}

TEST_CASE("an authentication goes to the broker with handles in it, never with values", "[workflows][authentication]")
{
    const std::string oauth = "{ oauth2: { authority: 'https://a.test', grant: client_credentials, client: { id: '${ .user }', secret: '${ $secrets.erp.clientSecret }' } } }";
    const Ran ran = called(oauth);
    REQUIRE(ran.requests.size() == 1);
    const Json& sent = ran.requests[0].with["authentication"]["oauth2"];
    CHECK(sent["client"]["id"] == Json("ada"));
    CHECK(sent["client"]["secret"] == Json(workflows::secret_handle("erp", "clientSecret")));
    const Ran named = called("{ use: api }", "secrets: [ erp ], authentications: { api: " + oauth + " }");
    REQUIRE(named.requests.size() == 1);
    CHECK(named.requests[0].with == ran.requests[0].with);
    CHECK(called("{ digest: { use: erp } }").requests.at(0).with["authentication"] == json(R"({"digest":{"use":"erp"}})"));
}

TEST_CASE("$authorization shows the scheme; of its parameter no more than a handle", "[workflows][authentication]")
{
    const auto flow = [](const std::string& authentication) {
        return run_flow("use: { secrets: [ erp ] }\ndo: [ { g: { call: http, with: { method: get, endpoint: { uri: 'http://x.test/', authentication: " + authentication +
                        " } }, output: { as: '$authorization' } } } ]", json(R"({"user":"ada"})"), ok).output;
    };
    CHECK(flow("{ bearer: { token: abc } }") == json(R"({"scheme":"Bearer","parameter":"abc"})"));
    CHECK(flow("{ bearer: { token: '${ $secrets.erp.token }' } }")["parameter"] == Json(workflows::secret_handle("erp", "token")));
    CHECK(flow("{ basic: { username: a, password: b } }") == json(R"({"scheme":"Basic","parameter":"***"})"));
    CHECK(flow("{ digest: { use: erp } }") == json(R"({"scheme":"Digest","parameter":"***"})"));
    CHECK(flow("{ oauth2: { use: erp } }") == json(R"({"scheme":"Bearer","parameter":"***"})"));
    CHECK(flow("{ use: erp }") == json(R"({"scheme":null,"parameter":"***"})"));
}

TEST_CASE("an endpoint may be an expression; what it gives is an address and nothing more", "[workflows][authentication]")
{
    const auto flow = [](const char* input) { return run_flow("do: [ { g: { call: http, with: { method: get, endpoint: '${ .to }' } } } ]", json(input), ok); };
    CHECK(flow(R"({"to":"http://x.test/a"})").requests.at(0).with["uri"] == Json("http://x.test/a"));
    const Ran ran = flow(R"({"to":{"uri":"http://x.test/a","authentication":{"use":"erp"}}})");
    CHECK(ran.requests.empty());
    CHECK_THAT(ran.fault.detail, Catch::Contains("must give a text, not object"));
}

TEST_CASE("a redirect is an error that names its target, or with redirect: true an output", "[workflows][http]")
{
    const Answers moved = [](const EffectRequest&) {
        return Answer{.result = json(R"({"status":302,"headers":{"location":"http://y.test/"},"text":"","uri":"http://x.test/"})"), .fault = {}};
    };
    const Ran refused = run_flow("do: [ { g: { call: http, with: { method: get, endpoint: 'http://x.test/' } } } ]", {}, moved);
    CHECK(refused.fault.status == 302);
    CHECK_THAT(refused.fault.detail, Catch::Contains("http://y.test/") && Catch::Contains("redirect: true"));
    const Ran taken = run_flow("do: [ { g: { call: http, with: { method: get, endpoint: 'http://x.test/', redirect: true, output: response } } } ]", {}, moved);
    CHECK(taken.output["headers"]["location"] == Json("http://y.test/"));
    CHECK(taken.requests.size() == 1);
}
