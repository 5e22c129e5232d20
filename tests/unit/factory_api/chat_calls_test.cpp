#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/crypto.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using Catch::Contains;

namespace {

constexpr std::string_view kChat = "/v1/chat/order-status-api";
constexpr std::string_view kSaid = R"({"conversation":"room-1","text":"hello","user":"ada","entities":{"order":"4711"}})";
constexpr std::string_view kSigning = "8f742231b10e8888abcd99yyyzzz85a5";

/// A factory whose trigger takes chat calls as `chat` says.
struct ChatFactory : Factory {
    explicit ChatFactory(std::string_view chat, std::string_view secret = {})
    {
        deploy();
        if (!secret.empty()) REQUIRE(as_admin("PUT", "/v1/credentials/signing", fmt::format(R"({{"kind":"hmac","value":{{"secret":"{}"}}}})", secret)).status == 201);
        const Answer put = as_admin("PUT", "/v1/triggers/order-status-api", fmt::format(R"({{"deployment":"order-status","input":{{"region":"eu"}},"chat":{}}})", chat));
        INFO(put.text);
        REQUIRE(put.status == 200);
    }
    std::size_t jobs() { return as_admin("GET", "/v1/jobs").json["items"].size(); }
    Json job() { return as_admin("GET", "/v1/jobs/" + as_admin("GET", "/v1/jobs").json["items"][test::kFirst]["uid"].as_string()).json; }
    Answer slack(std::string_view body, std::int64_t ago = 0, std::string_view secret = kSigning, std::string_view path = kChat, std::string_view type = "application/x-www-form-urlencoded")
    {
        const std::string time = std::to_string(system_clock().now().microseconds / 1'000'000 - ago);
        const std::string signature = "v0=" + to_hex(platform::hmac_sha256(secret, fmt::format("v0:{}:{}", time, body)));
        return call("POST", path, body, {{"content-type", std::string(type)}, {"x-slack-request-timestamp", time}, {"x-slack-signature", signature}});
    }
};

constexpr std::string_view kWebhook = R"({"platform":"webhook","input":"${ {order: .entities.order, note: .entities.note} }","reply":"Looking for ${ .entities.order }."})";
constexpr std::string_view kSlack = R"({"platform":"slack","input":{"order":"${ .text }"},"credentials":"signing"})";
constexpr std::string_view kCommand = "command=%2Forder&text=4711&channel_id=C42&user_id=U1&trigger_id=1.2.3";

}  // namespace

TEST_CASE("a chat call starts a job in its conversation and is answered in the platform's form", "[factory][api][chat]")
{
    ChatFactory factory(kWebhook);
    const std::string token = factory.trigger_token();
    const Answer answer = factory.with_token(token, "POST", kChat, kSaid);
    INFO(answer.text);
    REQUIRE(answer.status == 200);
    CHECK(answer.json["text"] == Json("Looking for 4711."));
    const Json job = factory.as_admin("GET", "/v1/jobs/" + answer.json["jobUid"].as_string()).json;
    CHECK(job["input"] == *parse_json(R"({"region":"eu","order":"4711"})"));
    CHECK(job["invocationContext"] == *parse_json(R"({"conversationId":"room-1","platform":"webhook","user":{"id":"ada"},"replyTo":{"conversation":"room-1"}})"));

    SECTION("the token also goes as the password of Basic and at the end of the path")
    {
        CHECK(factory.call("POST", kChat, kSaid, {{"authorization", "Basic " + to_base64("bot:" + token)}}).status == 200);
        CHECK(factory.call("POST", fmt::format("{}/{}", kChat, token), kSaid).status == 200);
        CHECK(factory.call("POST", fmt::format("{}/{}", kChat, token), "{").text.find(token) == std::string::npos);
        CHECK(factory.jobs() == 3);
    }
    SECTION("what does not fit the workflow is said as a sentence")
    {
        const Answer refused = factory.with_token(token, "POST", kChat, R"({"conversation":"room-1","text":"hello"})");
        CHECK(refused.status == 400);
        CHECK_THAT(refused.json["text"].as_string(), Contains("I could not start that") && Contains("order"));
        CHECK(refused.json["error"]["code"] == Json("input"));
        CHECK(factory.jobs() == 1);
    }
    SECTION("an id says that it is the same event")
    {
        const std::string_view with_id = R"({"conversation":"room-1","id":"e-1","entities":{"order":"1"}})";
        const Answer first = factory.with_token(token, "POST", kChat, with_id), again = factory.with_token(token, "POST", kChat, with_id);
        CHECK(first.json["jobUid"] == again.json["jobUid"]);
        CHECK(again.headers.at("Idempotent-Replayed") == "true");
        CHECK(factory.with_token(token, "POST", kChat, R"({"conversation":"room-1","id":"e-1","entities":{"order":"2"}})").status == 422);
        CHECK(factory.jobs() == 2);
    }
}

TEST_CASE("a stranger is told the same whatever is wrong, and no job is made", "[factory][api][chat]")
{
    ChatFactory factory(kWebhook);
    const std::string token = factory.trigger_token();
    REQUIRE(factory.as_admin("PUT", "/v1/triggers/other", R"({"deployment":"order-status"})").status == 201);
    const std::string other = factory.as_admin("POST", "/v1/triggers/other/token").json["token"].as_string();
    std::string wrong = token;
    wrong.back() = wrong.back() == 'a' ? 'b' : 'a';
    const Answer unknown = factory.call("POST", "/v1/chat/nothing-here", kSaid);
    CHECK(unknown.status == 401);
    const auto same = [&](const Answer& answer) {
        CHECK(answer.status == unknown.status);
        CHECK(answer.text == unknown.text);
        CHECK(answer.headers == unknown.headers);
        CHECK(answer.type == unknown.type);
    };
    same(factory.with_token(token, "POST", "/v1/chat/nothing-here", kSaid));
    same(factory.with_token(token, "POST", "/v1/chat/other", kSaid));       // takes no chat calls
    same(factory.call("POST", kChat, kSaid));
    same(factory.with_token(wrong, "POST", kChat, kSaid));
    same(factory.with_token(other, "POST", kChat, kSaid));
    same(factory.call("POST", kChat, "not even JSON", {{"content-type", "text/plain"}}));
    same(factory.call("POST", fmt::format("{}/{}", kChat, other), kSaid));
    same(factory.call("POST", kChat, kSaid, {{"authorization", "Basic " + to_base64("no colon")}}));
    CHECK(factory.jobs() == 0);
    const Json shown = factory.as_admin("GET", "/v1/triggers/order-status-api/calls").json["chat"];
    CHECK(shown["refused"]["count"] == Json(6));
    CHECK(factory.as_admin("GET", "/v1/triggers/order-status-api/calls").text.find(wrong) == std::string::npos);
}

TEST_CASE("an admitted caller is told what is wrong with the body", "[factory][api][chat]")
{
    ChatFactory factory(kWebhook);
    const std::string token = factory.trigger_token();
    const auto told = [&](std::string_view body, int status, std::string_view words, test::Headers headers = {}) {
        const Answer answer = factory.with_token(token, "POST", kChat, body, std::move(headers));
        CHECK(answer.status == status);
        CHECK_THAT(answer.json["text"].as_string(), Contains(std::string(words)));
    };
    told(kSaid, 415, "application/json", {{"content-type", "text/plain"}});
    told("{", 400, "JSON");
    told(R"({"text":"x"})", 400, "conversation");
    told(R"({"conversation":"c","memory":)" + std::string(40, '[') + std::string(40, ']') + "}", 413, "level");
    CHECK(factory.with_token(token, "POST", kChat, std::string(1024 * 1024 + 1, 'x')).status == 413);
    CHECK(factory.jobs() == 0);
}

TEST_CASE("Slack: signed and fresh, else refused; the same call again is the same job", "[factory][api][chat][slack]")
{
    ChatFactory factory(kSlack, kSigning);
    const Answer answer = factory.slack(kCommand);
    INFO(answer.text);
    CHECK(answer.status == 200);
    CHECK(answer.json["response_type"] == Json("ephemeral"));
    CHECK_THAT(answer.json["text"].as_string(), Contains("It waits"));   // there is no agent
    CHECK(factory.job()["input"]["order"] == Json("4711"));
    CHECK(factory.slack(kCommand).headers.at("Idempotent-Replayed") == "true");
    CHECK(factory.jobs() == 1);

    const Answer unknown = factory.call("POST", "/v1/chat/nothing-here", kCommand, {{"content-type", "application/x-www-form-urlencoded"}});
    const auto refused = [&](const Answer& given) {
        CHECK(given.status == 401);
        CHECK(given.text == unknown.text);
    };
    refused(factory.slack(kCommand, 0, "another secret"));
    refused(factory.slack(kCommand, 301));
    refused(factory.slack(kCommand, -400));
    refused(factory.call("POST", kChat, kCommand, {{"content-type", "application/x-www-form-urlencoded"}}));
    refused(factory.with_token(factory.trigger_token(), "POST", kChat, kCommand));   // who signs needs no token, and a token is no signature
    refused(factory.call("POST", fmt::format("{}/{}", kChat, factory.as_admin("POST", "/v1/triggers/order-status-api/token").json["token"].as_string()), kCommand));
    CHECK(factory.jobs() == 1);

    SECTION("Slack asks whether the address is ours")
    {
        CHECK(factory.slack(R"({"type":"url_verification","challenge":"c-1"})", 0, kSigning, kChat, "application/json").json["challenge"] == Json("c-1"));
        CHECK(factory.slack(R"({"type":"url_verification","challenge":"c-1"})", 0, "another", kChat, "application/json").status == 401);
        CHECK(factory.jobs() == 1);
    }
    SECTION("what bots say starts nothing")
    {
        CHECK(factory.slack(R"({"type":"event_callback","event":{"type":"message","bot_id":"B1","user":"U1","text":"x","ts":"1.1","channel":"C1"}})", 0, kSigning, kChat, "application/json").status == 200);
        CHECK(factory.jobs() == 1);
    }
    SECTION("a paused trigger is told to the person")
    {
        REQUIRE(factory.as_admin("POST", "/v1/triggers/order-status-api/pause", R"({"why":"the ERP is down"})").status == 200);
        const Answer paused = factory.slack("command=%2Forder&text=4712&channel_id=C42&user_id=U1&trigger_id=9");
        CHECK(paused.status == 200);
        CHECK_THAT(paused.json["text"].as_string(), Contains("the ERP is down"));
    }
    SECTION("a secret of another environment is not used, and `show` says so")
    {
        REQUIRE(factory.as_admin("PUT", "/v1/credentials/signing", fmt::format(R"({{"kind":"hmac","environment":"default","value":{{"secret":"{}"}}}})", kSigning)).status == 200);
        refused(factory.slack("command=%2Forder&text=4712&channel_id=C42&user_id=U1&trigger_id=9"));
        CHECK_THAT(factory.as_admin("GET", "/v1/triggers/order-status-api/calls").json["chat"]["problem"].as_string(), Contains("belongs to environment 'default'"));
    }
    SECTION("a secret that is used cannot be deleted")
    {
        const Answer kept = factory.as_admin("DELETE", "/v1/credentials/signing");
        CHECK(kept.status == 409);
        CHECK_THAT(kept.detail(), Contains("Trigger 'order-status-api'"));
    }
}

TEST_CASE("Teams: signed over the body, whose own time counts", "[factory][api][chat][teams]")
{
    const std::string key = "a key of 32 bytes, as Teams makes";
    ChatFactory factory(R"({"platform":"teams","input":{"order":"${ .text }"},"reply":"On it","credentials":"signing"})", to_base64(key));
    const auto said = [&](WallTime time, std::string_view id) {
        return fmt::format(R"({{"type":"message","id":"{}","timestamp":"{}","from":{{"id":"29:1"}},"conversation":{{"id":"19:a@thread.tacv2;messageid=1"}},"text":"<at>Mill</at> 4711"}})", id, format_time(time));
    };
    const auto send = [&](const std::string& body, const std::string& with) {
        return factory.call("POST", kChat, body, {{"authorization", "HMAC " + to_base64(platform::hmac_sha256(with, body))}});
    };
    const WallTime now = system_clock().now();
    const Answer answer = send(said(now, "1"), key);
    INFO(answer.text);
    CHECK(answer.json == *parse_json(R"({"type":"message","text":"On it"})"));
    CHECK(factory.job()["invocationContext"]["conversationId"] == Json("19:a@thread.tacv2:1"));
    CHECK(send(said(now, "1"), key).headers.at("Idempotent-Replayed") == "true");
    CHECK(send(said(now - std::chrono::minutes(6), "2"), key).status == 401);
    CHECK(send(said(now, "2"), "another key").status == 401);
    const std::string timeless = R"({"type":"message","id":"3","conversation":{"id":"19:a"},"text":"x"})";
    CHECK(send(timeless, key).status == 401);
    CHECK(send(timeless, key).type == "application/problem+json");
    CHECK(factory.jobs() == 1);
}

TEST_CASE("what a Trigger says about chats is checked when it is saved", "[factory][api][chat]")
{
    Factory factory;
    factory.deploy();
    const auto refused = [&](std::string_view chat, std::string_view words, int status = 400) {
        const Answer answer = factory.as_admin("PUT", "/v1/triggers/order-status-api", fmt::format(R"({{"deployment":"order-status","chat":{}}})", chat));
        INFO(answer.text);
        CHECK(answer.status == status);
        CHECK_THAT(answer.detail(), Contains(std::string(words)));
    };
    refused("{}", "platform");
    refused(R"({"platform":"irc"})", "sap-cai, slack, teams");
    refused(R"({"platform":"slack"})", "signing secret");
    refused(R"({"platform":"slack","credentials":"signing"})", "is not there", 409);
    refused(R"({"platform":"webhook","credentials":"signing"})", "millwright triggers token");
    refused(R"({"platform":"webhook","input":"${ .text | tonumber }"})", "input");
    refused(R"({"platform":"webhook","reply":"${ .output.x }"})", "reply");
    refused(R"({"platform":"webhook","replies":"x"})", "replies");
    refused(R"({"platform":"teams","credentials":"signing","reply":""})", "Teams shows an error");
    // A secret that was typed instead of a name is not repeated.
    const Answer typed = factory.as_admin("PUT", "/v1/triggers/order-status-api", R"({"deployment":"order-status","chat":{"platform":"slack","credentials":"8F742231/SECRET"}})");
    CHECK(typed.status == 400);
    CHECK(typed.text.find("8F742231") == std::string::npos);
    REQUIRE(factory.as_admin("PUT", "/v1/credentials/bot", R"({"kind":"bearer","value":{"token":"t-1234"}})").status == 201);
    refused(R"({"platform":"slack","credentials":"bot"})", "must be of kind hmac", 409);
    const Answer scheduled = factory.as_admin("PUT", "/v1/triggers/t", R"({"deployment":"order-status","type":"schedule","schedule":{"every":"1h"},"chat":{"platform":"webhook"}})");
    CHECK_THAT(scheduled.detail(), Contains("'type: api'"));
}

TEST_CASE("the description names both addresses and how a caller is known", "[factory][api][chat]")
{
    ChatFactory factory(kWebhook);
    const Json paths = factory.as_admin("GET", "/v1/openapi.json").json["paths"];
    CHECK(paths["/v1/chat/{trigger}"]["post"]["security"].size() == 3);
    CHECK(paths["/v1/chat/{trigger}"]["post"]["requestBody"]["content"].contains("application/x-www-form-urlencoded"));
    CHECK(paths.contains("/v1/chat/{trigger}/{secret}"));
    const Json shown = factory.as_admin("GET", "/v1/triggers/order-status-api/calls").json["chat"];
    CHECK(shown["url"] == Json("http://127.0.0.1:8321/v1/chat/order-status-api"));
    CHECK_THAT(shown["example"].as_string(), Contains("$TOKEN"));
}
