// What each chat platform gets, made from one message; and what its answers mean.
#include <catch2/catch.hpp>

#include "factory/notify/chat.h"
#include "factory/notify/deliver.h"
#include "factory/notify/render.h"
#include "tests/unit/factory_notify/receiver.h"

using namespace mill;
using namespace mill::factory;
using test::Receiver;
using Verdict = DeliveryOutcome::Verdict;

namespace {

constexpr const char* kRich = R"({"title":"Order ${ .output.order }","text":"is ${ .output.status } & <ready>","picture":"https://x.example/p.png",
    "buttons":[{"title":"Look","url":"https://x.example/o/1"},{"title":"Cancel","value":"cancel 1"}]})";
constexpr const char* kList = R"({"text":"Two:","list":[{"title":"One","subtitle":"first"},{"title":"Two","buttons":[{"title":"Pick","value":"2"}]}]})";
constexpr const char* kReplies = R"({"text":"Which?","quickReplies":[{"title":"Yes","value":"y"},{"title":"No","value":"n"}]})";

Result<Rendered> rendered(const std::string& chat, std::string event = "success")
{
    Notification out;
    out.delivery = "d-1";
    out.event = std::move(event);
    out.notifier = Json::object({{"name", "n"}, {"type", "chat"}, {"chat", *parse_json(chat)}});
    out.job = *parse_json(R"({"event":"success","job":{"uid":"u-1","state":"successful","environment":"prod"},"trigger":{"name":"t"},"invocationContext":{"conversationId":"C42:17.5"},
        "input":{},"output":{"order":"4711","status":"sent"},"error":null,"evidence":{},"timings":{}})");
    return render_notification(out, {"urn:x", "https://factory.example.com"});
}

Json request(const std::string& platform, const std::string& message, const std::string& more = R"("credentials":"c","baseUrl":"https://chat.example/")")
{
    const auto out = rendered(R"({"platform":")" + platform + R"(","conversation":"${ .invocationContext.conversationId }","message":)" + message + "," + more + "}");
    if (!out) FAIL(out.error().what);
    REQUIRE(out->wanted);
    CHECK(out->request["notifier"] == Json("n"));
    CHECK(out->request["environment"] == Json("prod"));
    return out->request;
}

Json body(const Json& request) { return *parse_json(request["body"].as_string()); }
Json json(const char* text) { return *parse_json(text); }

}  // namespace

TEST_CASE("Slack: channel, thread, text for all and blocks for what is more than text", "[notify][chat]")
{
    const Json plain = request("slack", R"("Order ${ .output.order } <b> & done")");
    CHECK(plain["kind"].as_string() == "chat");
    CHECK(plain["url"].as_string() == "https://chat.example/api/chat.postMessage");
    CHECK(body(plain) == json(R"({"channel":"C42","thread_ts":"17.5","text":"Order 4711 &lt;b&gt; &amp; done"})"));
    CHECK(body(request("slack", kRich)) == json(R"({"channel":"C42","thread_ts":"17.5","text":"Order 4711\nis sent &amp; &lt;ready&gt;\nLook: https://x.example/o/1\n- Cancel","blocks":[
        {"type":"section","text":{"type":"mrkdwn","text":"*Order 4711*\nis sent &amp; &lt;ready&gt;"},"accessory":{"type":"image","image_url":"https://x.example/p.png","alt_text":"Order 4711"}},
        {"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Look"},"action_id":"millwright-1","url":"https://x.example/o/1"},
                                      {"type":"button","text":{"type":"plain_text","text":"Cancel"},"action_id":"millwright-2","value":"cancel 1"}]}]})"));
    CHECK(body(request("slack", kList))["blocks"].size() == 4);
    CHECK(body(request("slack", kReplies))["blocks"].as_array().at(1)["elements"].size() == 2);
}

TEST_CASE("Teams: an Adaptive Card to an address that is a secret", "[notify][chat]")
{
    const Json sent = request("teams", kRich, R"("credentials":"c")");
    CHECK(sent["url"].as_string().empty());
    const Json card = body(sent)["attachments"].as_array().at(0);
    CHECK(card["contentType"].as_string() == "application/vnd.microsoft.card.adaptive");
    CHECK(card["content"] == json(R"({"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","type":"AdaptiveCard","version":"1.4","body":[
        {"type":"TextBlock","text":"Order 4711","wrap":true,"weight":"Bolder"},{"type":"TextBlock","text":"is sent & <ready>","wrap":true},
        {"type":"Image","url":"https://x.example/p.png"},{"type":"TextBlock","text":"- Cancel","wrap":true}],
        "actions":[{"type":"Action.OpenUrl","title":"Look","url":"https://x.example/o/1"}]})"));
}

TEST_CASE("Rasa, Botpress and a webhook", "[notify][chat]")
{
    const Json rasa = request("rasa", R"("hi")", R"("credentials":"c","baseUrl":"https://chat.example","intent":"EXTERNAL_done","channel":"rest api")");
    CHECK(rasa["url"].as_string() == "https://chat.example/conversations/C42%3A17.5/trigger_intent?output_channel=rest%20api");
    CHECK(body(rasa) == json(R"({"name":"EXTERNAL_done","entities":{"text":"hi","event":"success","job":"u-1"}})"));

    const std::string bot = R"("credentials":"c","baseUrl":"https://chat.example","bot":"b-1","user":"u-2")";
    const Json press = request("botpress", R"("hi")", bot);
    CHECK(press["url"].as_string() == "https://chat.example/v1/chat/messages");
    CHECK(press["headers"] == json(R"({"x-bot-id":"b-1"})"));
    CHECK(body(press) == json(R"({"conversationId":"C42:17.5","userId":"u-2","type":"text","payload":{"text":"hi"},"tags":{}})"));
    CHECK(body(request("botpress", kRich, bot))["payload"] == json(R"({"title":"Order 4711","subtitle":"is sent & <ready>","imageUrl":"https://x.example/p.png","actions":[
        {"action":"url","label":"Look","value":"https://x.example/o/1"},{"action":"postback","label":"Cancel","value":"cancel 1"}]})"));
    CHECK(body(request("botpress", kReplies, bot))["type"].as_string() == "choice");
    CHECK(body(request("botpress", kList, bot))["payload"]["items"].size() == 2);

    const Json hook = request("webhook", kReplies, R"("baseUrl":"https://chat.example/hook","secret":"signing")");
    CHECK(hook["url"].as_string() == "https://chat.example/hook");
    CHECK(hook["secret"].as_string() == "signing");
    CHECK(body(hook) == json(R"({"type":"message","conversation":"C42:17.5","event":"success","job":{"uid":"u-1","state":"successful"},"text":"Which?\n- Yes\n- No",
        "message":{"text":"Which?","quickReplies":[{"title":"Yes","value":"y"},{"title":"No","value":"n"}]}})"));
}

TEST_CASE("SAP Conversational AI: the same message in its own types", "[notify][chat][sap-cai]")
{
    const auto message = [](const char* text) { return body(request("sap-cai", text))["messages"].as_array().at(0); };
    CHECK(message(kRich) == json(R"({"type":"card","content":{"title":"Order 4711","subtitle":"is sent & <ready>","imageUrl":"https://x.example/p.png","buttons":[
        {"title":"Look","value":"https://x.example/o/1","type":"web_url"},{"title":"Cancel","value":"cancel 1","type":"postback"}]}})"));
    CHECK(message(kReplies) == json(R"({"type":"quickReplies","content":{"title":"Which?","buttons":[{"title":"Yes","value":"y"},{"title":"No","value":"n"}]}})"));
    CHECK(message(kList)["content"]["elements"].size() == 2);
    CHECK(message(R"({"picture":"https://x.example/p.png"})") == json(R"({"type":"picture","content":"https://x.example/p.png"})"));
    CHECK(message(R"({"text":"pick","buttons":[{"title":"A","value":"a"}]})")["type"].as_string() == "buttons");
}

TEST_CASE("a message that cannot be is refused with its place", "[notify][chat]")
{
    const auto wrong = [](const char* text) { return message_mistake(*parse_json(text)); };
    CHECK(wrong(R"("text")").empty());
    CHECK(wrong(kRich).empty());
    CHECK(wrong(kList).empty());
    CHECK_THAT(wrong(R"({"txt":"a"})"), Catch::Contains("'txt'") && Catch::Contains("quickReplies"));
    CHECK_THAT(wrong(R"({"buttons":[{"title":"a","value":"b"}]})"), Catch::Contains("no text"));
    CHECK_THAT(wrong(R"({"text":"a","buttons":[{"title":"a"}]})"), Catch::Contains("neither or both"));
    CHECK_THAT(wrong(R"({"text":"a","buttons":[{"title":"a","value":"b","url":"c"}]})"), Catch::Contains("neither or both"));
    CHECK_THAT(wrong(R"({"text":"a","quickReplies":[{"title":"a","url":"b"}]})"), Catch::Contains("'url'"));
    CHECK_THAT(wrong(R"({"text":"a","quickReplies":{}})"), Catch::Contains("must be a list"));
    CHECK_THAT(wrong(R"({"list":[{"subtitle":"a"}]})"), Catch::Contains("without a title"));
    CHECK_THAT(wrong(R"({"list":[{"title":"a","list":[]}]})"), Catch::Contains("'list'"));
    CHECK_THAT(wrong(R"({"text":5})"), Catch::Contains("'text'"));
    CHECK_THAT(wrong("[]"), Catch::Contains("object"));
    CHECK_THAT(rendered(R"({"platform":"slack","conversation":"c","message":{"text":"${ .output.nothing }"},"credentials":"c","baseUrl":"https://x"})").error().what, Catch::Contains("no text"));
    CHECK_THAT(rendered(R"({"platform":"slack","conversation":"${ .invocationContext.other }","message":"a","credentials":"c","baseUrl":"https://x"})").error().what, Catch::Contains("no conversation id"));
}

namespace {

struct ChatBench {
    ChatBench() : egress(*EgressRules::parse({"http://127.0.0.1:*"}), {}, platform::resolve), deliverer(egress, [this](const std::string& name) -> Result<Credential> {
        const auto found = credentials.find(name);
        if (found == credentials.end()) return fail(Errc::not_found, "there is no credential '" + name + "'");
        return found->second;
    }, clock, {.timeout = Milliseconds(2000)})
    {
        credentials["bot"] = {"bot", "bearer", Json::object({{"token", "xoxb-very-secret"}}), {}};
        credentials["flow"] = {"flow", "webhook", Json::object({{"url", receiver.url("/flow/1?sig=so-secret")}}), {}};
        credentials["signing"] = {"signing", "hmac", Json::object({{"secret", "whsec_c2VjcmV0"}}), {}};
    }
    DeliveryOutcome send(const std::string& platform, const std::string& path, const std::string& credential, Json more = Json::object())
    {
        Json request = Json::object({{"kind", "chat"}, {"platform", platform}, {"notifier", "n"}, {"method", "POST"}, {"url", path.empty() ? Json("") : Json(receiver.url(path))}, {"body", "{}"}});
        if (!credential.empty()) request.set("credentials", credential);
        for (const auto& [name, value] : more.as_object()) request.set(name, value);
        return deliverer.attempt("delivery-1", request);
    }
    FakeClock clock;
    Receiver receiver;
    std::map<std::string, Credential> credentials;
    Egress egress;
    Deliverer deliverer;
};

}  // namespace

TEST_CASE("Slack's 200 may be a refusal: final or to be tried again, with its reason", "[notify][chat]")
{
    ChatBench bench;
    const auto answer = [&](const char* text, int status = 200) {
        bench.receiver.answer("/api/chat.postMessage", status, text, {{"Content-Type", "application/json"}});
        return bench.send("slack", "/api/chat.postMessage", "bot");
    };
    CHECK(answer(R"({"ok":true,"ts":"1.2"})").verdict == Verdict::delivered);
    CHECK(bench.receiver.calls().back().header("authorization") == "Bearer xoxb-very-secret");
    const auto gone = answer(R"({"ok":false,"error":"channel_not_found"})");
    CHECK(gone.verdict == Verdict::give_up);
    CHECK_THAT(gone.attempt.error, Catch::Contains("channel_not_found"));
    CHECK(gone.attempt.status == 200);
    CHECK_THAT(answer(R"({"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] must be a string"]}})").attempt.error, Catch::Contains("must be a string"));
    CHECK(answer(R"({"ok":false,"error":"internal_error"})").verdict == Verdict::retry);
    CHECK(answer("<html>").verdict == Verdict::retry);
    bench.receiver.answer("/api/chat.postMessage", 429, "{}", {{"Retry-After", "7"}});
    const auto later = bench.send("slack", "/api/chat.postMessage", "bot");
    CHECK(later.verdict == Verdict::retry);
    CHECK(later.retry_after == Milliseconds(7000));
    CHECK(dump_json(later.attempt.request).find("very-secret") == std::string::npos);
    CHECK(bench.send("slack", "/api/chat.postMessage", "nobody").verdict == Verdict::retry);
}

TEST_CASE("addresses and tokens that are secrets are used and not shown", "[notify][chat]")
{
    ChatBench bench;
    bench.receiver.answer("/flow/1", 202, "");
    const auto teams = bench.send("teams", "", "flow");
    CHECK(teams.verdict == Verdict::delivered);
    CHECK(bench.receiver.calls("/flow/1").size() == 1);
    CHECK(dump_json(teams.attempt.request).find("so-secret") == std::string::npos);
    bench.receiver.answer("/flow/1", 404, "");
    CHECK_THAT(bench.send("teams", "", "flow").attempt.error, Catch::StartsWith("the address in credential 'flow' answered 404"));
    bench.receiver.stop();
    CHECK(dump_json(bench.send("teams", "", "flow").attempt.request).find("so-secret") == std::string::npos);

    ChatBench other;
    other.receiver.answer("/conversations/c/trigger_intent", 200, "{}");
    const auto rasa = other.send("rasa", "/conversations/c/trigger_intent?output_channel=latest", "bot");
    CHECK(rasa.verdict == Verdict::delivered);
    CHECK(other.receiver.calls().back().query_value("token") == "xoxb-very-secret");
    CHECK(dump_json(rasa.attempt.request).find("very-secret") == std::string::npos);

    other.receiver.answer("/hook", 200, "{}");
    const auto hook = other.send("webhook", "/hook", "", Json::object({{"secret", "signing"}}));
    CHECK(hook.verdict == Verdict::delivered);
    const auto call = other.receiver.calls("/hook").back();
    CHECK(call.header("webhook-id") == "delivery-1");
    CHECK(call.header("webhook-signature") == webhook_signature("whsec_c2VjcmV0", "delivery-1", other.clock.now().microseconds / 1'000'000, "{}"));
}

TEST_CASE("a message that changes: what is posted is kept, what comes later takes its place, and what was overtaken is not said", "[notify][chat][progress]")
{
    ChatBench bench;
    const Json edit = Json::object({{"url", bench.receiver.url("/api/chat.update")}, {"final", false}}), last = Json::object({{"url", bench.receiver.url("/api/chat.update")}, {"final", true}});
    const auto attempt = [&](const Json& how, const Json& kept) {
        return bench.deliverer.attempt("d-1", Json::object({{"kind", "chat"}, {"platform", "slack"}, {"notifier", "n"}, {"method", "POST"}, {"url", Json(bench.receiver.url("/api/chat.postMessage"))}, {"body", R"({"channel":"C42","thread_ts":"17.5","text":"hi"})"},
                                                            {"credentials", "bot"}, {"edit", how}}), {}, kept);
    };
    bench.receiver.answer("/api/chat.postMessage", 200, R"({"ok":true,"channel":"C0FULL","ts":"1.2","message":{}})");
    const auto posted = attempt(edit, {});
    CHECK(posted.verdict == Verdict::delivered);
    CHECK(dump_json(posted.kept) == R"({"channel":"C0FULL","ts":"1.2","final":false})");
    bench.receiver.answer("/api/chat.update", 200, R"({"ok":true,"channel":"C0FULL","ts":"1.2"})");
    const auto changed = attempt(last, posted.kept);
    CHECK(changed.verdict == Verdict::delivered);
    CHECK(changed.kept["final"] == Json(true));
    CHECK(*parse_json(bench.receiver.calls("/api/chat.update").at(0).body) == json(R"({"channel":"C0FULL","text":"hi","ts":"1.2","blocks":[]})"));
    // The start, overtaken by the end: it would take the answer away.
    const auto late = attempt(edit, changed.kept);
    CHECK(late.verdict == Verdict::delivered);
    CHECK_THAT(late.attempt.response, Catch::Contains("not sent"));
    CHECK(late.kept.is_null());
    CHECK(bench.receiver.calls().size() == 2);
    // Deleted meanwhile, or too old: anew; any other refusal is one.
    bench.receiver.answer("/api/chat.update", 200, R"({"ok":false,"error":"message_not_found"})");
    CHECK(attempt(last, posted.kept).verdict == Verdict::delivered);
    CHECK(bench.receiver.calls("/api/chat.postMessage").size() == 2);
    bench.receiver.answer("/api/chat.update", 200, R"({"ok":false,"error":"not_in_channel"})");
    CHECK(attempt(last, posted.kept).verdict == Verdict::give_up);
    // Without `edit` nothing is kept and each is posted.
    CHECK(bench.send("slack", "/api/chat.postMessage", "bot").kept.is_null());
}

TEST_CASE("the bot connector is where the call came from, if the notifier names it", "[notify][chat][teams]")
{
    const auto url = [](const std::string& service, const std::string& conversation) {
        const auto out = rendered(R"({"platform":"teams-bot","serviceUrl":")" + service + R"(","serviceHosts":["https://smba.example.com"],"conversation":")" + conversation + R"(","message":"hi","credentials":"c","progress":"edit"})", "start");
        return out ? out->request["url"].as_string() + " " + dump_json(out->request["edit"]) : out.error().what;
    };
    CHECK(url("https://smba.example.com/emea/", "19:abc@thread.tacv2:148") == "https://smba.example.com/emea/v3/conversations/19%3Aabc%40thread.tacv2%3Bmessageid%3D148/activities {\"final\":false}");
    CHECK(url("https://smba.example.com", "19:abc@thread.tacv2;messageid=148") == "https://smba.example.com/v3/conversations/19%3Aabc%40thread.tacv2%3Bmessageid%3D148/activities {\"final\":false}");
    CHECK(url("https://smba.example.com/", "a:1abc") == "https://smba.example.com/v3/conversations/a%3A1abc/activities {\"final\":false}");
    for (const char* other : {"https://smba.example.com.evil.com/", "http://smba.example.com/", "https://evil.com/smba.example.com", "https://smba.example.com:444/"}) CHECK_THAT(url(other, "a:1"), Catch::Contains("not one of the notifier's serviceHosts"));
    CHECK_THAT(url("https://smba.example.com/../x", "a:1"), Catch::Contains("'..'"));
    CHECK_THAT(url("${ .invocationContext.replyTo.serviceUrl }", "a:1"), Catch::Contains("has no value"));
    CHECK_THAT(url("https://smba.example.com/", "a/b"), Catch::Contains("not a conversation of Teams"));
}
