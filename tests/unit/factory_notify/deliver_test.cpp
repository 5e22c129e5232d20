#include <catch2/catch.hpp>

#include "factory/notify/deliver.h"
#include "platform/base/encode.h"
#include "platform/crypto.h"
#include "tests/unit/factory_notify/receiver.h"

using namespace mill;
using namespace mill::factory;
using namespace std::chrono_literals;
using test::Receiver;
using test::SapCai;
using Verdict = DeliveryOutcome::Verdict;

namespace {

/// A deliverer that may call loopback, with credentials of the test.
struct Bench {
    explicit Bench(std::vector<std::string> rules = {"http://127.0.0.1:*"}, Egress::Resolve resolve = platform::resolve)
        : egress(*EgressRules::parse(rules), {}, std::move(resolve)),
          deliverer(egress, [this](const std::string& name) -> Result<Credential> {
                        const auto found = credentials.find(name);
                        if (found == credentials.end()) return fail(Errc::not_found, "there is no credential '" + name + "'");
                        return found->second;
                    },
                    clock, {.timeout = 2000ms})
    {
    }
    DeliveryOutcome api(const std::string& url, Json more = Json::object())
    {
        Json request = Json::object({{"kind", "api"}, {"notifier", "n"}, {"method", "POST"}, {"url", url}, {"headers", Json::object({{"Content-Type", "text/plain"}})}, {"body", "hello"}, {"authentication", "none"}});
        for (const auto& [name, value] : more.as_object()) request.set(name, value);
        return deliverer.attempt("delivery-1", request);
    }
    DeliveryOutcome cai(const SapCai& bot, std::string_view path = "/connect/v1/conversations/conversation-1/messages", std::string body = R"({"messages":[{"type":"text","content":"hi"}]})",
                        std::string method = "POST")
    {
        credentials["bot"] = {"bot", "sap-cai", Json::object({{"tokenUrl", bot.url("/oauth/token")}, {"clientId", "client-id"}, {"clientSecret", "client-secret"}, {"botToken", "bot-token-secret"}}), {}};
        return deliverer.attempt("delivery-1", Json::object({{"kind", "sap-cai"}, {"notifier", "n"}, {"method", std::move(method)}, {"url", bot.url(path)}, {"body", std::move(body)}, {"credentials", "bot"}}));
    }
    FakeClock clock;
    std::map<std::string, Credential> credentials;
    Egress egress;
    Deliverer deliverer;
};

}  // namespace

TEST_CASE("a delivery carries its id and its record shows both sides", "[notify][deliver]")
{
    Bench bench;
    Receiver receiver;
    receiver.answer("/hook", 202, "thank you");
    const DeliveryOutcome outcome = bench.api(receiver.url("/hook"));
    CHECK(outcome.verdict == Verdict::delivered);
    CHECK(outcome.id == "delivery-1");
    CHECK(outcome.attempt.status == 202);
    CHECK(outcome.attempt.response == "thank you");
    CHECK(outcome.attempt.error.empty());
    CHECK(outcome.attempt.request["url"].as_string() == receiver.url("/hook"));
    CHECK(outcome.attempt.request["body"].as_string() == "hello");
    const auto calls = receiver.calls();
    REQUIRE(calls.size() == 1);
    CHECK(calls[0].body == "hello");
    CHECK(calls[0].header("webhook-id") == "delivery-1");
    CHECK(calls[0].header("idempotency-key") == "delivery-1");
}

TEST_CASE("a signature is that of Standard Webhooks", "[notify][deliver]")
{
    Bench bench;
    Receiver receiver;
    receiver.answer("/hook", 200, "");
    bench.credentials["signing"] = {"signing", "hmac", Json::object({{"secret", "whsec_c2VjcmV0LWtleS1ieXRlcw=="}}), {}};
    bench.credentials["elsewhere"] = {"elsewhere", "hmac", Json::object({{"secret", "whsec_c2VjcmV0LWtleS1ieXRlcw=="}}), {"https://other.example.com"}};
    bench.credentials["b"] = {"b", "bearer", Json::object({{"token", "very-secret-token"}}), {}};
    const auto delivered = bench.api(receiver.url("/hook"), Json::object({{"secret", "signing"}}));
    CHECK(delivered.verdict == Verdict::delivered);
    CHECK_THAT(dump_json(delivered.attempt.request), Catch::Contains("webhook-signature") && !Catch::Contains("c2VjcmV0LWtleS1ieXRlcw"));
    const auto call = receiver.calls().at(0);
    const std::string content = "delivery-1." + std::string(call.header("webhook-timestamp")) + ".hello";
    CHECK(call.header("webhook-timestamp") == "1700000000");
    CHECK(call.header("webhook-signature") == "v1," + to_base64(platform::hmac_sha256("secret-key-bytes", content)));
    // The specification's own example.
    CHECK(webhook_signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})") == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    SECTION("a secret that is gone is an error, not an unsigned delivery")
    {
        const auto outcome = bench.api(receiver.url("/hook"), Json::object({{"secret", "gone"}}));
        CHECK(outcome.verdict == Verdict::retry);
        CHECK_THAT(outcome.attempt.error, Catch::Contains("signature: there is no credential 'gone'"));
        CHECK_THAT(bench.api(receiver.url("/hook"), Json::object({{"secret", "b"}})).attempt.error, Catch::Contains("'b' is of kind bearer, hmac is needed"));
        CHECK_THAT(bench.api(receiver.url("/hook"), Json::object({{"secret", "elsewhere"}})).attempt.error, Catch::Contains("'elsewhere' may not go to"));
        CHECK_THAT(bench.api(receiver.url("/hook"), Json::object({{"signed", true}})).attempt.error, Catch::Contains("earlier version"));
        CHECK(receiver.calls().size() == 1);
    }
}

TEST_CASE("authentication comes from a credential, goes to its hosts only, and no record shows it", "[notify][deliver]")
{
    Bench bench;
    Receiver receiver;
    receiver.on("/hook", [](const HttpCall& call, const Responder& responder) { responder.reply({.status = 500, .body = "you sent " + std::string(call.header("authorization"))}); });
    bench.credentials["b"] = {"b", "bearer", Json::object({{"token", "very-secret-token"}}), {"http://127.0.0.1:" + std::to_string(receiver.port())}};
    bench.credentials["p"] = {"p", "basic", Json::object({{"username", "anna"}, {"password", "pass-word-1"}}), {}};
    bench.credentials["elsewhere"] = {"elsewhere", "bearer", Json::object({{"token", "very-secret-token"}}), {"https://other.example.com"}};
    const auto bearer = bench.api(receiver.url("/hook"), Json::object({{"authentication", "bearer"}, {"credentials", "b"}}));
    CHECK(receiver.calls().back().header("authorization") == "Bearer very-secret-token");
    const auto basic = bench.api(receiver.url("/hook"), Json::object({{"authentication", "basic"}, {"credentials", "p"}}));
    CHECK(receiver.calls().back().header("authorization") == "Basic " + to_base64("anna:pass-word-1"));
    bench.credentials["h"] = {"h", "header", Json::object({{"name", "X-Api-Key"}, {"value", "pass-word-1-key"}}), {}};
    const auto header = bench.api(receiver.url("/hook"), Json::object({{"authentication", "header"}, {"credentials", "h"}}));
    CHECK(receiver.calls().back().header("x-api-key") == "pass-word-1-key");
    CHECK_THAT(dump_json(header.attempt.request), Catch::Contains("\"X-Api-Key\":\"***\""));
    for (const auto& outcome : {bearer, basic, header}) {
        const std::string shown = dump_json(outcome.attempt.request) + outcome.attempt.response + outcome.attempt.error;
        CHECK_THAT(shown, Catch::Contains("***"));
        CHECK_THAT(shown, !Catch::Contains("very-secret-token") && !Catch::Contains("pass-word-1") && !Catch::Contains(to_base64("anna:pass-word-1")));
    }
    const auto refused = bench.api(receiver.url("/hook"), Json::object({{"authentication", "bearer"}, {"credentials", "elsewhere"}}));
    CHECK(refused.attempt.status == 0);
    CHECK_THAT(refused.attempt.error, Catch::Contains("'elsewhere' may not go to"));
    CHECK_THAT(bench.api(receiver.url("/hook"), Json::object({{"authentication", "bearer"}, {"credentials", "none"}})).attempt.error, Catch::Contains("there is no credential 'none'"));
    CHECK_THAT(bench.api(receiver.url("/hook"), Json::object({{"authentication", "header"}, {"credentials", "b"}})).attempt.error, Catch::Contains("has no member 'name'"));
    CHECK(receiver.calls().size() == 3);
}

TEST_CASE("a credential that belongs to an environment serves the notifications of its jobs alone", "[notify][deliver]")
{
    Bench bench;
    Receiver receiver;
    receiver.answer("/hook", 200, "");
    bench.credentials["b"] = {"b", "bearer", Json::object({{"token", "very-secret-token"}}), {}, "production"};
    const auto sent = [&](Json more) { return bench.api(receiver.url("/hook"), more.set("authentication", "bearer").set("credentials", "b")); };
    CHECK(sent(Json::object({{"environment", "production"}})).verdict == Verdict::delivered);
    for (const Json& other : {Json::object({{"environment", "test"}}), Json::object({{"environment", ""}}), Json::object()}) {
        const auto refused = sent(other);
        CHECK(refused.attempt.status == 0);
        CHECK_THAT(refused.attempt.error, Catch::Contains("credential 'b' belongs to environment 'production'"));
    }
    CHECK(receiver.calls().size() == 1);
}

TEST_CASE("what an answer means", "[notify][deliver]")
{
    Bench bench;
    Receiver receiver;
    const auto verdict = [&](int status) {
        receiver.answer("/hook", status, R"({"message":"said why"})");
        return bench.api(receiver.url("/hook"));
    };
    for (const int status : {200, 201, 204}) CHECK(verdict(status).verdict == Verdict::delivered);
    for (const int status : {500, 502, 503, 408, 425, 429, 301, 302}) {
        const auto outcome = verdict(status);
        CAPTURE(status);
        CHECK(outcome.verdict == Verdict::retry);
        CHECK(outcome.attempt.status == status);
        CHECK_FALSE(outcome.retry_after);   // when is Core's to say
        CHECK_THAT(outcome.attempt.error, Catch::Contains(std::to_string(status)) && Catch::Contains("said why") && Catch::Contains("/hook"));
    }
    for (const int status : {400, 401, 403, 404, 410, 422}) {
        CAPTURE(status);
        CHECK(verdict(status).verdict == Verdict::give_up);
    }
    SECTION("a redirect is not followed")
    {
        receiver.answer("/hook", 302, "", {{"Location", receiver.url("/other")}});
        const auto outcome = bench.api(receiver.url("/hook"));
        CHECK_THAT(outcome.attempt.error, Catch::Contains("redirects are not followed"));
        CHECK(receiver.calls("/other").empty());
    }
    SECTION("Retry-After is honoured, within bounds")
    {
        receiver.answer("/hook", 429, "", {{"Retry-After", "7"}});
        CHECK(bench.api(receiver.url("/hook")).retry_after == 7s);
        receiver.answer("/hook", 503, "", {{"Retry-After", "999999999"}});
        CHECK(bench.api(receiver.url("/hook")).retry_after == 3600s);
        CHECK(read_retry_after("Tue, 14 Nov 2023 22:13:30 GMT", WallTime{1'700'000'000'000'000}) == 10s);
        CHECK(read_retry_after("Tue, 14 Nov 2023 22:13:10 GMT", WallTime{1'700'000'000'000'000}) == 0s);
        CHECK_FALSE(read_retry_after("soon", WallTime{}));
    }
    SECTION("a long answer is kept to 4 KiB")
    {
        receiver.answer("/hook", 500, std::string(20'000, 'x'));
        CHECK(bench.api(receiver.url("/hook")).attempt.response.size() == 4096);
    }
}

TEST_CASE("a receiver that is down or silent is tried again", "[notify][deliver]")
{
    Bench bench;
    Receiver receiver;
    receiver.on("/silent", [](const HttpCall&, const Responder&) {});
    const auto silent = bench.api(receiver.url("/silent"));
    CHECK(silent.verdict == Verdict::retry);
    CHECK(silent.attempt.status == 0);
    CHECK_FALSE(silent.attempt.error.empty());
    CHECK(silent.attempt.request["url"].as_string() == receiver.url("/silent"));
    const std::string url = receiver.url("/hook");
    receiver.stop();
    const auto down = bench.api(url);
    CHECK(down.verdict == Verdict::retry);
    CHECK_THAT(down.attempt.error, Catch::Contains("connect"));
}

TEST_CASE("private addresses are refused unless the configuration names them", "[notify][egress]")
{
    Receiver receiver;
    receiver.answer("/hook", 200, "");
    SECTION("without a rule the error names the key that would allow it")
    {
        Bench bench(std::vector<std::string>{});
        const auto outcome = bench.api(receiver.url("/hook"));
        CHECK(outcome.verdict == Verdict::retry);
        CHECK_THAT(outcome.attempt.error, Catch::Contains("egress: [ \"http://127.0.0.1:" + std::to_string(receiver.port()) + "\" ]"));
        CHECK(receiver.calls().empty());
    }
    SECTION("a rule for another port or scheme does not help")
    {
        CHECK(Bench({"http://127.0.0.1:1"}).api(receiver.url("/hook")).attempt.status == 0);
        CHECK(Bench({"https://127.0.0.1:*"}).api(receiver.url("/hook")).attempt.status == 0);
        CHECK(Bench({"http://127.0.0.1"}).api(receiver.url("/hook")).attempt.status == 0);
    }
    SECTION("a name that leads to a private address is refused, too, and may be named")
    {
        const auto inside = [](std::string_view host) -> Result<std::vector<std::string>> { return std::vector<std::string>{host == "127.0.0.1" || host == "hook.example.com" ? "127.0.0.1" : "10.0.0.1"}; };
        const std::string url = "http://hook.example.com:" + std::to_string(receiver.port()) + "/hook";
        CHECK_THAT(Bench(std::vector<std::string>{}, inside).api(url).attempt.error, Catch::Contains("hook.example.com is the address 127.0.0.1"));
        CHECK(Bench({"http://*.example.com:*"}, inside).api(url).verdict == Verdict::delivered);
        CHECK(Bench({"http://127.*:*"}, inside).api(url).verdict == Verdict::delivered);
        CHECK(receiver.calls().back().header("host") == "hook.example.com:" + std::to_string(receiver.port()));
    }
    SECTION("the machine's own public address counts as private")
    {
        const auto public_one = [](std::string_view) -> Result<std::vector<std::string>> { return std::vector<std::string>{"203.0.113.7"}; };
        Egress egress(*EgressRules::parse({}), {}, public_one, [] { return std::vector<std::string>{"127.0.0.1", "203.0.113.7"}; });
        platform::HttpRequest request;
        request.uri = "http://factory.example.com/v1/jobs";
        const auto refused = egress.send(request);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Errc::denied);
        CHECK_FALSE(platform::own_addresses().empty());
    }
    SECTION("wrong rules are reported, all of them")
    {
        const auto rules = EgressRules::parse({"http://127.0.0.1:*", "127.0.0.1", "ftp://x", "http://a/b:1", "http://x:99999x"});
        REQUIRE_FALSE(rules);
        for (const char* wrong : {"'127.0.0.1'", "'ftp://x'", "'http://a/b:1'", "'http://x:99999x'"}) CHECK_THAT(rules.error().what, Catch::Contains(wrong));
    }
}

TEST_CASE("SAP Conversational AI gets both secrets, in a message and in memory", "[notify][sap-cai]")
{
    Bench bench;
    SapCai bot;
    const auto message = bench.cai(bot);
    CHECK(message.verdict == Verdict::delivered);
    CHECK(message.attempt.status == 201);
    const auto memory = bench.cai(bot, "/build/v1/users/anna/bots/desk/versions/v1/builder/conversation_states/conversation-1", R"({"language":"en","merge_memory":true,"memory":{"a":1}})", "PUT");
    CHECK(memory.verdict == Verdict::delivered);
    CHECK(bot.tokens_asked == 1);  // kept
    const std::string shown = dump_json(message.attempt.request) + dump_json(memory.attempt.request);
    CHECK_THAT(shown, !Catch::Contains("bot-token-secret") && !Catch::Contains("client-secret") && !Catch::Contains("oauth-token-1"));
}

TEST_CASE("an OAuth token is renewed before its end, and at once when it is refused", "[notify][sap-cai]")
{
    Bench bench;
    SapCai bot;
    bot.lifetime = 1000;
    CHECK(bench.cai(bot).verdict == Verdict::delivered);
    bench.clock.advance(740s);
    CHECK(bench.cai(bot).verdict == Verdict::delivered);
    CHECK(bot.tokens_asked == 1);
    bench.clock.advance(11s);
    CHECK(bench.cai(bot).verdict == Verdict::delivered);
    CHECK(bot.tokens_asked == 2);
    bot.revoke();
    CHECK(bench.cai(bot).verdict == Verdict::delivered);
    CHECK(bot.tokens_asked == 3);
}

TEST_CASE("a token endpoint that refuses is seen in the record, tried again, and delivers in the end", "[notify][sap-cai]")
{
    Bench bench;
    SapCai bot;
    bot.refuse_token = true;
    const auto refused = bench.cai(bot);
    CHECK(refused.verdict == Verdict::retry);
    CHECK(refused.attempt.status == 401);
    CHECK_THAT(refused.attempt.request["url"].as_string(), Catch::StartsWith(bot.url("/oauth/token")));
    CHECK_THAT(refused.attempt.response, Catch::Contains("invalid_client"));
    CHECK_THAT(refused.attempt.error, Catch::Contains("OAuth token refused") && Catch::Contains("Bad credentials") && Catch::Contains("401"));
    CHECK(bot.calls("/connect/v1/conversations/conversation-1/messages").empty());
    CHECK_THAT(dump_json(refused.attempt.request), !Catch::Contains("client-secret") && !Catch::Contains("Y2xpZW50LWlkOmNsaWVudC1zZWNyZXQ"));
    bot.refuse_token = false;
    CHECK(bench.cai(bot).verdict == Verdict::delivered);
}

TEST_CASE("a message that the bot refuses is final, and says what the bot said", "[notify][sap-cai]")
{
    Bench bench;
    SapCai bot;
    const auto outcome = bench.cai(bot, "/connect/v1/conversations/conversation-1/messages", R"({"messages":[]})");
    CHECK(outcome.verdict == Verdict::give_up);
    CHECK_THAT(outcome.attempt.error, Catch::Contains("400") && Catch::Contains("ill-formed"));
}

TEST_CASE("a credential that is bound to a mail server's origin may go there, with the port of its own where none is said", "[factory][notify]")
{
    Credential credential;
    credential.name = "post";
    credential.hosts = {"smtp://mail.corp.example", "smtps://other.corp.example:4650"};
    const auto to = [&](const char* scheme, const char* host, std::uint16_t port) {
        platform::Uri uri;
        uri.scheme = scheme;
        uri.host = host;
        uri.port = port;
        return may_go_to(credential, uri, "").has_value();
    };
    CHECK(to("smtp", "mail.corp.example", 587));
    CHECK_FALSE(to("smtp", "mail.corp.example", 25));
    CHECK_FALSE(to("smtps", "mail.corp.example", 465));
    CHECK(to("smtps", "other.corp.example", 4650));
    CHECK_FALSE(to("https", "mail.corp.example", 443));
}
