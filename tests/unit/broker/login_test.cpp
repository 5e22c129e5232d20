#include <catch2/catch.hpp>

#include <atomic>
#include <mutex>
#include <string>

#include "agent/broker/digest.h"
#include "agent/broker/login.h"
#include "platform/base/encode.h"
#include "tests/unit/broker/loopback_server.h"

using namespace mill;

namespace {

struct Bench {
    std::shared_ptr<const broker::Grants> grants;
    broker::HttpClients clients;

    explicit Bench(Json network, Json credentials = Json::object())
    {
        Json names = Json::array();
        for (const auto& [name, value] : credentials.as_object()) names.push(name);
        auto made = broker::make_grants(Json::object({{"network", std::move(network)}, {"credentials", std::move(names)}}), std::move(credentials));
        REQUIRE(made);
        grants = *made;
    }
    broker::Outcome<Json> get(const std::string& uri, Json authentication, std::string method = "get")
    {
        broker::EffectContext context{*grants, clients, system_clock().steady() + Milliseconds(20'000), {}};
        const Json with = Json::object({{"method", method}, {"uri", uri}, {"authentication", std::move(authentication)}});
        return broker::perform({1, "http.request", with, Milliseconds(20'000)}, context);
    }
};

std::string rule(const LoopbackServer& server) { return "http://127.0.0.1:" + std::to_string(server.port()); }
Json everywhere() { return Json::array({"http://127.0.0.1:*"}); }

std::string header(const std::string& request, const std::string& name)
{
    const auto at = request.find("\r\n" + name + ":");
    if (at == std::string::npos) return {};
    const auto from = at + name.size() + 3;
    std::string out = request.substr(from, request.find("\r\n", from) - from);
    while (!out.empty() && out.front() == ' ') out.erase(0, 1);
    return out;
}
std::string body(const std::string& request) { return request.substr(request.find("\r\n\r\n") + 4); }

/// Hands out tokens t1, t2, … and keeps what it was asked.
struct TokenServer {
    std::atomic<int> given = 0;
    std::string more;  ///< members of the answer
    LoopbackServer server{[this](const std::string&) {
        return http_answer(200, R"({"access_token":"secret-token-)" + std::to_string(++given) + R"(","token_type":"Bearer")" + more + "}");
    }};
    explicit TokenServer(std::string members = R"(,"expires_in":3600)") : more(std::move(members)) {}
};

Json oauth(const std::string& authority, Json more = Json::object())
{
    Json out = Json::object({{"authority", authority}, {"grant", "client_credentials"}, {"client", Json::object({{"id", "robot"}, {"secret", "clients-own-secret"}})}});
    for (const auto& [key, value] : more.as_object()) out.set(key, value);
    return Json::object({{"oauth2", std::move(out)}});
}

}  // namespace

TEST_CASE("digest answers are those of RFC 7616's examples", "[broker][digest]")
{
    broker::Challenge challenge;
    challenge.realm = "http-auth@example.org";
    challenge.nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    challenge.opaque = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS";
    challenge.qop = true;
    const auto answer = [&] { return broker::digest_header(challenge, "Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"); };
    CHECK_THAT(answer(), Catch::Contains("response=\"8ca523f5e9506fed4657c9700eebdbec\"") && Catch::Contains("nc=00000001") && Catch::Contains("opaque=\"FQhe/"));
    challenge.sha256 = true;
    challenge.algorithm = "SHA-256";
    CHECK_THAT(answer(), Catch::Contains("response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\"") && Catch::Contains("algorithm=SHA-256"));
}

TEST_CASE("the strongest challenge is chosen out of what a server offers", "[broker][digest]")
{
    using Values = std::vector<std::string>;
    auto chosen = broker::choose_challenge(Values{R"(Basic realm="x", Digest realm="a, \"b\"", qop="auth,auth-int", algorithm=MD5, nonce="n1")",
                                                  R"(Digest realm="r", nonce="n2", algorithm=SHA-256, qop="auth", stale=TRUE)"});
    REQUIRE(chosen);
    CHECK(chosen->nonce == "n2");
    CHECK(chosen->stale);
    chosen = broker::choose_challenge(Values{R"(Negotiate abc==, Digest realm="a, \"b\"", nonce="n1", qop="auth-int,auth")"});
    REQUIRE(chosen);
    CHECK(chosen->realm == "a, \"b\"");
    CHECK_FALSE(chosen->sha256);
    CHECK(broker::choose_challenge(Values{"Basic realm=x"}).error().code == Errc::not_found);
    CHECK(broker::choose_challenge(Values{}).error().code == Errc::not_found);
    for (const char* hopeless : {"Digest", "Digest nonce=n, algorithm=SHA-512-256", "Digest nonce=n, qop=auth-int", "Digest realm=r, qop=auth", "Digest =,=,\"", "Digest nonce=\"unclosed"})
        (void)broker::choose_challenge(Values{hopeless});
    CHECK(broker::choose_challenge(Values{"Digest nonce=n, algorithm=SHA-512-256"}).error().code == Errc::invalid);
    CHECK(broker::choose_challenge(Values{"Digest nonce=n, qop=auth-int"}).error().code == Errc::invalid);
}

TEST_CASE("digest asks for a nonce once, counts its uses, and takes a new one when it is stale", "[broker][digest]")
{
    std::atomic<int> stale_at = 3;
    std::atomic<int> seen = 0;
    LoopbackServer server([&](const std::string& request) {
        const std::string proof = header(request, "Authorization");
        const int number = ++seen;
        const auto challenge = [](const std::string& nonce, const std::string& more) {
            return http_answer(401, "", "WWW-Authenticate: Digest realm=\"r\", nonce=\"" + nonce + "\", qop=\"auth\", algorithm=SHA-256" + more + "\r\n");
        };
        if (proof.empty()) return challenge("one", "");
        if (number == stale_at) return challenge("two", ", stale=true");
        return http_answer(200, proof);
    });
    Bench bench(Json::array({rule(server)}), Json::object({{"erp", Json::object({{"username", "anna"}, {"password", "pass-word"}})}}));
    const Json login = Json::object({{"digest", Json::object({{"use", "erp"}})}});
    const auto uri = server.url("/a?b=c%20d");
    stale_at = 4;
    auto first = bench.get(uri, login);
    REQUIRE(first);
    CHECK((*first)["status"].as_integer() == 200);
    CHECK_THAT((*first)["text"].as_string(), Catch::Contains("nc=00000001") && Catch::Contains("uri=\"/a?b=c%20d\"") && Catch::Contains("username=\"anna\"") && Catch::Contains("nonce=\"one\""));
    CHECK_THAT(server.requests().at(1), Catch::StartsWith("GET /a?b=c%20d HTTP/1.1"));
    auto second = bench.get(uri, login);
    REQUIRE(second);
    CHECK_THAT((*second)["text"].as_string(), Catch::Contains("nc=00000002"));
    auto third = bench.get(uri, login);
    REQUIRE(third);
    CHECK_THAT((*third)["text"].as_string(), Catch::Contains("nonce=\"two\"") && Catch::Contains("nc=00000001"));
    CHECK(server.requests().size() == 5);
}

TEST_CASE("a wrong password is the server's 401, after one proof and without more tries", "[broker][digest]")
{
    LoopbackServer server(http_answer(401, "", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n"));
    Bench bench(Json::array({rule(server)}));
    const auto outcome = bench.get(server.url(), Json::object({{"digest", Json::object({{"username", "anna"}, {"password", "wrong-one"}})}}));
    REQUIRE(outcome);
    CHECK((*outcome)["status"].as_integer() == 401);
    CHECK(server.requests().size() == 2);
    LoopbackServer basic(http_answer(401, "", "WWW-Authenticate: Basic realm=\"r\"\r\n"));
    Bench other(Json::array({rule(basic)}));
    CHECK(other.get(basic.url(), Json::object({{"digest", Json::object({{"username", "a"}, {"password", "b"}})}})).value()["status"].as_integer() == 401);
    CHECK(basic.requests().size() == 1);
}

TEST_CASE("an OAuth 2 token is asked for once and used until its end", "[broker][oauth]")
{
    TokenServer tokens;
    LoopbackServer api([](const std::string& request) { return http_answer(200, header(request, "Authorization")); });
    Bench bench(everywhere());
    const Json login = oauth("http://127.0.0.1:" + std::to_string(tokens.server.port()) + "/realms/a/", Json::object({{"scopes", Json::array({"read", "write"})}, {"audiences", Json::array({"x", "y"})}}));
    for (int i = 0; i < 3; ++i) {
        const auto outcome = bench.get(api.url(), login);
        REQUIRE(outcome);
        CHECK((*outcome)["text"].as_string() == "Bearer ***");
    }
    CHECK_THAT(api.requests().at(2), Catch::Contains("Authorization:Bearer secret-token-1"));
    REQUIRE(tokens.server.requests().size() == 1);
    const std::string asked = tokens.server.requests().at(0);
    CHECK_THAT(asked, Catch::StartsWith("POST /realms/a/oauth2/token HTTP/1.1"));
    CHECK(header(asked, "Content-Type") == "application/x-www-form-urlencoded");
    CHECK(body(asked) == "grant_type=client_credentials&scope=read%20write&audience=x&audience=y&client_id=robot&client_secret=clients-own-secret");
    CHECK(bench.get(api.url(), oauth(rule(tokens.server), Json::object({{"scopes", Json::array({"other"})}}))));
    CHECK(tokens.given == 2);  // other scopes, another token
}

TEST_CASE("a token near its end is renewed before it is used", "[broker][oauth]")
{
    TokenServer tokens(R"(,"expires_in":0)");
    LoopbackServer api(http_answer(200, "{}"));
    Bench bench(everywhere());
    REQUIRE(bench.get(api.url(), oauth(rule(tokens.server))));
    REQUIRE(bench.get(api.url(), oauth(rule(tokens.server))));
    CHECK(tokens.given == 2);
    TokenServer endless("");
    REQUIRE(bench.get(api.url(), oauth(rule(endless.server))));
    REQUIRE(bench.get(api.url(), oauth(rule(endless.server))));
    CHECK(endless.given == 1);
}

TEST_CASE("a 401 with a token that should hold costs one new token and one new try", "[broker][oauth]")
{
    TokenServer tokens;
    LoopbackServer picky([](const std::string& request) { return http_answer(request.find("secret-token-2") != std::string::npos ? 200 : 401, "{}"); });
    Bench bench(everywhere());
    CHECK(bench.get(picky.url(), oauth(rule(tokens.server))).value()["status"].as_integer() == 200);
    CHECK(picky.requests().size() == 2);
    LoopbackServer closed(http_answer(401, "no"));
    CHECK(bench.get(closed.url(), oauth(rule(tokens.server))).value()["status"].as_integer() == 401);
    CHECK(closed.requests().size() == 2);
    CHECK(tokens.given == 3);
}

TEST_CASE("grants, client authentication and encodings of OAuth 2", "[broker][oauth]")
{
    TokenServer tokens;
    LoopbackServer api(http_answer(200, "{}"));
    Bench bench(everywhere());
    const auto ask = [&](Json more) {
        REQUIRE(bench.get(api.url(), oauth(rule(tokens.server), std::move(more))));
        return tokens.server.requests().back();
    };
    const auto client = [](const char* how) { return Json::object({{"id", "ro:bot"}, {"secret", "clients own"}, {"authentication", how}}); };
    std::string asked = ask(Json::object({{"client", client("client_secret_basic")}}));
    CHECK(header(asked, "Authorization") == "Basic " + to_base64("ro%3Abot:clients%20own"));
    CHECK(body(asked) == "grant_type=client_credentials");
    asked = ask(Json::object({{"client", client("none")}}));
    CHECK(body(asked) == "grant_type=client_credentials&client_id=ro%3Abot");
    asked = ask(Json::object({{"grant", "password"}, {"username", "anna"}, {"password", "p&w"}}));
    CHECK(body(asked) == "grant_type=password&username=anna&password=p%26w&client_id=robot&client_secret=clients-own-secret");
    asked = ask(Json::object({{"grant", "refresh_token"}, {"subject", Json::object({{"token", "re-fresh"}})}}));
    CHECK(body(asked) == "grant_type=refresh_token&refresh_token=re-fresh&client_id=robot&client_secret=clients-own-secret");
    asked = ask(Json::object({{"request", Json::object({{"encoding", "application/json"}})}, {"audiences", Json::array({"x", "y"})}, {"endpoints", Json::object({{"token", "/t"}})}}));
    CHECK_THAT(asked, Catch::StartsWith("POST /t HTTP/1.1"));
    CHECK(header(asked, "Content-Type") == "application/json");
    CHECK(*parse_json(body(asked)) == *parse_json(R"({"grant_type":"client_credentials","audience":["x","y"],"client_id":"robot","client_secret":"clients-own-secret"})"));
    for (const Json& bad : {Json::object({{"grant", "implicit"}}), Json::object({{"client", client("private_key_jwt")}}), Json::object({{"grant", "password"}}),
                            Json::object({{"request", Json::object({{"encoding", "text/xml"}})}})})
        CHECK(bench.get(api.url(), oauth(rule(tokens.server), bad)).error().type == "configuration");
}

TEST_CASE("a refresh token that is good for one use is followed by the one that came with the token", "[broker][oauth]")
{
    TokenServer tokens(R"(,"expires_in":0,"refresh_token":"re-fresh-2")");
    LoopbackServer api(http_answer(200, "{}"));
    Bench bench(everywhere());
    const Json login = oauth(rule(tokens.server), Json::object({{"grant", "refresh_token"}, {"subject", Json::object({{"token", "re-fresh-1"}})}}));
    REQUIRE(bench.get(api.url(), login));
    REQUIRE(bench.get(api.url(), login));
    CHECK_THAT(body(tokens.server.requests().at(0)), Catch::Contains("refresh_token=re-fresh-1"));
    CHECK_THAT(body(tokens.server.requests().at(1)), Catch::Contains("refresh_token=re-fresh-2"));
}

TEST_CASE("what a token endpoint says is told, and no secret", "[broker][oauth]")
{
    LoopbackServer refuses(http_answer(400, R"({"error":"invalid_client","error_description":"robot with clients-own-secret is not known"})"));
    LoopbackServer api(http_answer(200, "{}"));
    Bench bench(everywhere());
    const auto outcome = bench.get(api.url(), oauth(rule(refuses)));
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().type == "authentication");
    CHECK(outcome.error().status == 401);
    CHECK_THAT(outcome.error().detail, Catch::Contains(rule(refuses) + "/oauth2/token answered 400: invalid_client: robot with *** is not known"));
    CHECK(api.requests().empty());
    for (const std::string& answer : {http_answer(200, "{}"), http_answer(200, "no json"), http_answer(200, R"({"access_token":"a","token_type":"mac"})"), http_answer(302, "", "Location: /x\r\n")}) {
        LoopbackServer odd(answer);
        CHECK(bench.get(api.url(), oauth(rule(odd))).error().type == "authentication");
    }
}

TEST_CASE("the token endpoint needs a grant of its own, and the credential's hosts must name it", "[broker][oauth]")
{
    TokenServer tokens;
    LoopbackServer api(http_answer(200, "{}"));
    Bench narrow(Json::array({rule(api)}));
    const auto outcome = narrow.get(api.url(), oauth(rule(tokens.server)));
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().status == 403);
    CHECK_THAT(outcome.error().detail, Catch::Contains("network:"));
    const auto credential = [&](Json hosts) {
        return Json::object({{"erp", Json::object({{"tokenUrl", tokens.server.url("/token")}, {"clientId", "robot"}, {"clientSecret", "clients-own-secret"}, {"hosts", std::move(hosts)}})}});
    };
    const Json use = Json::object({{"use", "erp"}});
    Bench unnamed(everywhere(), credential(Json::array({rule(api)})));
    CHECK(unnamed.get(api.url(), use).error().status == 403);
    CHECK(tokens.given == 0);
    Bench both(everywhere(), credential(Json::array({rule(api), rule(tokens.server)})));
    CHECK(both.get(api.url(), use));
    CHECK_THAT(api.requests().at(0), Catch::Contains("Authorization:Bearer secret-token-1"));
    CHECK(both.get(api.url(), Json::object({{"oauth2", use}})));
    CHECK(tokens.given == 1);
    const std::string handle = "\xEE\x80\x80" "erp.clientSecret" "\xEE\x80\x81";
    CHECK(both.get(api.url(), oauth(rule(tokens.server), Json::object({{"client", Json::object({{"id", "robot"}, {"secret", handle}})}}))));
    CHECK_THAT(tokens.server.requests().back(), Catch::Contains("client_secret=clients-own-secret"));
    CHECK(unnamed.get(api.url(), oauth(rule(tokens.server), Json::object({{"client", Json::object({{"id", "robot"}, {"secret", handle}})}}))).error().status == 403);
}

TEST_CASE("OpenID Connect finds the token endpoint in the discovery document of its authority", "[broker][oauth]")
{
    TokenServer tokens;
    std::mutex mutex;
    std::string issuer;
    const auto speaks_for = [&](std::string who) {
        const std::scoped_lock lock(mutex);
        issuer = std::move(who);
    };
    LoopbackServer authority([&](const std::string& request) {
        if (request.find("GET /realm/.well-known/openid-configuration ") != 0) return http_answer(404, "");
        const std::scoped_lock lock(mutex);
        return http_answer(200, R"({"issuer":")" + issuer + R"(","token_endpoint":")" + tokens.server.url("/token") + R"("})");
    });
    speaks_for(authority.url("/realm"));
    LoopbackServer api(http_answer(200, "{}"));
    const auto login = [&](Json more = Json::object()) {
        Json out = oauth(authority.url("/realm"), std::move(more))["oauth2"];
        return Json::object({{"oidc", std::move(out)}});
    };
    Bench bench(everywhere());
    REQUIRE(bench.get(api.url(), login()));
    REQUIRE(bench.get(api.url(), login(Json::object({{"scopes", Json::array({"openid"})}}))));
    CHECK(authority.requests().size() == 1);
    CHECK(tokens.given == 2);
    CHECK_THAT(tokens.server.requests().at(0), Catch::StartsWith("POST /token HTTP/1.1"));
    Json whole = login();
    whole.set("oidc", Json(whole["oidc"]).set("authority", authority.url("/realm/.well-known/openid-configuration")));
    Bench fresh(everywhere());
    REQUIRE(fresh.get(api.url(), whole));
    CHECK(authority.requests().size() == 2);
    speaks_for("https://somebody.else.example");
    Bench other(everywhere());
    CHECK(other.get(api.url(), login()).error().type == "authentication");
    CHECK(other.get(api.url(), login(Json::object({{"issuers", Json::array({"https://somebody.else.example"})}}))));
    Bench narrow(Json::array({rule(api), rule(tokens.server)}));
    CHECK(narrow.get(api.url(), login()).error().status == 403);
}

TEST_CASE("a scheme that is none is named", "[broker][login]")
{
    Bench bench(everywhere());
    for (const Json& wrong : {Json::object({{"ntlm", Json::object()}}), Json::object({{"basic", Json::object()}, {"bearer", Json::object()}}), Json("basic"),
                              Json::object({{"digest", Json::object({{"username", "a"}})}}), Json::object({{"bearer", Json::object()}}), Json::object({{"oauth2", Json::object()}})}) {
        const auto outcome = bench.get("http://127.0.0.1:1/", wrong);
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().type == "configuration");
    }
}
