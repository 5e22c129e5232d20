#include "factory/chat/answer.h"

#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace mill;
using namespace mill::factory;
using Catch::Contains;
using P = ChatPlatform;

namespace {

constexpr std::string_view kJson = "application/json", kForm = "application/x-www-form-urlencoded";

ChatCall read(P platform, std::string_view body, std::string_view type = kJson)
{
    auto out = read_chat_call(platform, type, body);
    if (!out) FAIL(out.error().what);
    return std::move(*out);
}

std::string refused(P platform, std::string_view body, std::string_view type = kJson)
{
    const auto out = read_chat_call(platform, type, body);
    REQUIRE_FALSE(out);
    return out.error().what;
}

}  // namespace

TEST_CASE("SAP Conversational AI: text, memory and the first value of each entity", "[factory][chat]")
{
    const ChatCall call = read(P::sap_cai, R"({"conversation":{"id":"c-1","language":"en","memory":{"a":1},"skill":"orders"},
        "nlp":{"uuid":"u-1","source":"order 4711","entities":{"order":[{"raw":"4711","value":"No. 4711"},{"raw":"4712"}],"when":[{"raw":"today"}],"odd":[{"x":1}],"none":[]}}})");
    CHECK(call.id == "u-1");
    CHECK(dump_json(call.neutral) == R"({"text":"order 4711","user":{},"conversation":"c-1","memory":{"a":1},"entities":{"order":"No. 4711","when":"today","odd":{"x":1}},"platform":"sap-cai"})");
    CHECK(call.context["conversationId"] == Json("c-1"));
    CHECK(chat_answer(P::sap_cai, call, "hi").body == R"({"replies":[{"type":"text","content":"hi"}],"conversation":{"language":"en","memory":{"a":1}}})");
    CHECK_THAT(refused(P::sap_cai, R"({"nlp":{"source":"hi"}})"), Contains("conversation.id"));
    CHECK_THAT(refused(P::sap_cai, R"({"conversation":{"id":"{{conversation_id}}"}})"), Contains("placeholder"));
}

TEST_CASE("Slack: a slash command", "[factory][chat][slack]")
{
    const ChatCall call = read(P::slack, "command=%2Forder&text=4711+please&channel_id=C42&user_id=U1&user_name=ada&trigger_id=1.2.3&token=secret&response_url=https%3A%2F%2Fhooks", kForm);
    CHECK(call.id == "1.2.3");
    CHECK(call.neutral["text"] == Json("4711 please"));
    CHECK(call.neutral["user"] == *parse_json(R"({"id":"U1","name":"ada"})"));
    CHECK(call.context["conversationId"] == Json("C42"));
    CHECK(call.context["command"] == Json("/order"));
    // The verification token and the address that anybody may answer at go nowhere.
    CHECK_THAT(dump_json(call.context) + dump_json(call.neutral), !Contains("secret") && !Contains("hooks"));
    CHECK(chat_answer(P::slack, call, "see <!channel> & go").body == R"({"response_type":"ephemeral","text":"see &lt;!channel&gt; &amp; go"})");
    CHECK(chat_answer(P::slack, call, "").body.empty());
    CHECK_THAT(refused(P::slack, "text=4711", kForm), Contains("command"));
    CHECK_THAT(refused(P::slack, "command=%2Forder&text=4711", kForm), Contains("channel_id"));
    CHECK_THAT(refused(P::slack, "command=%2Forder&channel_id=C%2F..", kForm), Contains("no conversation id"));
}

TEST_CASE("Slack: an event that is said to be a form stays no command, since the header is not signed", "[factory][chat][slack]")
{
    CHECK_THAT(refused(P::slack, R"({"type":"event_callback","text":"x&command=%2Fwipe&user_id=UADMIN&channel_id=D1&trigger_id=9&y="})", kForm), Contains("is none"));
}

TEST_CASE("signs of Slack are read once, in time that grows with the text", "[factory][chat][slack]")
{
    const auto said = [](const std::string& text) {
        return R"({"type":"event_callback","event":{"type":"message","channel":"C1","user":"U1","ts":"1.2","text":")" + text + "\"}}";
    };
    CHECK(read(P::slack, said("&lt;a&gt; &amp;lt; &amp;amp;&")).neutral["text"] == Json("<a> &lt; &amp;&"));
    std::string many;
    for (int i = 0; i < 200'000; ++i) many += "&lt;";   // a megabyte took a quarter of a minute when each was replaced in place
    CHECK_THAT(read(P::slack, said(many.substr(0, 4 * 30'000))).neutral["text"].as_string(), Catch::StartsWith("<<<"));
    CHECK_THAT(refused(P::slack, said(many)), Contains("at most"));
}

TEST_CASE("a conversation of dots alone would lead elsewhere in a path", "[factory][chat]")
{
    for (const char* id : {".", "..", "..."}) CHECK_THAT(refused(P::webhook, fmt::format(R"({{"conversation":"{}"}})", id)), Contains("no conversation id"));
    CHECK(read(P::webhook, R"({"conversation":"a.b"})").context["conversationId"] == Json("a.b"));
}

TEST_CASE("Slack: an event answers in its thread, what bots say starts nothing, one message is one event", "[factory][chat][slack]")
{
    const ChatCall mention = read(P::slack, R"({"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention","user":"U1","text":"<@U9> order &lt;4711&gt; &amp;amp;","ts":"17.5","channel":"C42"}})");
    CHECK(mention.neutral["text"] == Json("order <4711> &amp;"));
    CHECK(mention.context["conversationId"] == Json("C42:17.5"));
    CHECK(mention.context["replyTo"] == *parse_json(R"({"channel":"C42","thread":"17.5"})"));
    CHECK_FALSE(mention.answer_is_shown);
    CHECK(chat_answer(P::slack, mention, "hi").body == "{}");
    const ChatCall same = read(P::slack, R"({"type":"event_callback","event_id":"Ev2","event":{"type":"message","user":"U1","text":"<@U9> order 4711","ts":"17.5","thread_ts":"16.1","channel":"C42"}})");
    CHECK(same.id == mention.id);
    CHECK(same.context["conversationId"] == Json("C42:16.1"));
    for (const char* event : {R"({"type":"message","bot_id":"B1","user":"U2","text":"x","ts":"1.1","channel":"C1"})", R"({"type":"message","text":"x","ts":"1.1","channel":"C1"})",
                              R"({"type":"message","subtype":"message_changed","user":"U1","ts":"1.1","channel":"C1"})", R"({"type":"reaction_added","user":"U1"})"}) {
        const ChatCall ignored = read(P::slack, std::string(R"({"type":"event_callback","event":)") + event + "}");
        CHECK(ignored.kind == ChatCall::Kind::ignored);
        CHECK(chat_acknowledgement(P::slack, ignored).status == 200);
    }
    const ChatCall challenge = read(P::slack, R"({"type":"url_verification","challenge":"abc","token":"t"})");
    CHECK(chat_acknowledgement(P::slack, challenge).body == R"({"challenge":"abc"})");
    CHECK_THAT(refused(P::slack, R"({"type":"url_verification"})"), Contains("challenge"));
    CHECK_THAT(refused(P::slack, R"({"type":"other"})"), Contains("event_callback"));
    CHECK_THAT(refused(P::slack, R"({"type":"event_callback","event":{"type":"message","user":"U1","text":"x"}})"), Contains("event.channel"));
}

TEST_CASE("Teams: whom it is said to is no part of it, and the thread stands behind the channel", "[factory][chat][teams]")
{
    const ChatCall call = read(P::teams, R"({"type":"message","id":"148","timestamp":"2027-01-01T00:00:00Z","serviceUrl":"https://smba.example/de/","from":{"id":"29:1","name":"Ada","aadObjectId":"a-b"},
        "conversation":{"id":"19:abc@thread.tacv2;messageid=147"},"text":"<at>Mill</at>&nbsp;order 4711\n"})");
    CHECK(call.neutral["text"] == Json("order 4711"));
    CHECK(call.neutral["user"] == *parse_json(R"({"id":"a-b","name":"Ada"})"));
    CHECK(call.context["conversationId"] == Json("19:abc@thread.tacv2:147"));
    CHECK(call.context["replyTo"] == *parse_json(R"({"conversation":"19:abc@thread.tacv2;messageid=147","activity":"148","serviceUrl":"https://smba.example/de/"})"));
    CHECK(call.id == "19:abc@thread.tacv2:147:148");
    CHECK(call.time == "2027-01-01T00:00:00Z");
    CHECK(chat_answer(P::teams, call, "hi").body == R"({"type":"message","text":"hi"})");
    CHECK(read(P::teams, R"({"type":"conversationUpdate","timestamp":"t"})").kind == ChatCall::Kind::ignored);
    CHECK_THAT(refused(P::teams, R"({"type":"message","conversation":{"id":"19:a"}})"), Contains("'id'"));
    CHECK_THAT(refused(P::teams, R"({"type":"message","id":"1"})"), Contains("conversation.id"));
    CHECK_THAT(refused(P::teams, R"({"id":"1"})"), Contains("'type'"));
}

TEST_CASE("Rasa, Botpress and the generic webhook", "[factory][chat]")
{
    const ChatCall rasa = read(P::rasa, R"({"next_action":"action_order","sender_id":"s-1","tracker":{"slots":{"order":null},"latest_message":{"text":"order 4711","message_id":"m1",
        "entities":[{"entity":"order","value":"4711"},{"entity":"order","value":"4712"}]}},"domain":{}})");
    CHECK(rasa.neutral["entities"] == *parse_json(R"({"order":"4711"})"));
    CHECK(rasa.id == "s-1:m1:action_order");
    CHECK(rasa.context["action"] == Json("action_order"));
    CHECK(chat_answer(P::rasa, rasa, "hi").body == R"({"events":[],"responses":[{"text":"hi"}]})");
    CHECK_THAT(refused(P::rasa, R"({"sender_id":"s-1"})"), Contains("next_action"));

    const ChatCall botpress = read(P::botpress, R"({"message":{"id":"m-1","direction":"incoming","conversationId":"conv_1","userId":"user_1","payload":{"text":"order 4711"}}})");
    CHECK(botpress.id == "m-1");
    CHECK(botpress.neutral["user"]["id"] == Json("user_1"));
    CHECK(chat_answer(P::botpress, botpress, "hi").body == R"({"type":"text","payload":{"text":"hi"}})");
    CHECK(read(P::botpress, R"({"direction":"outgoing","conversationId":"c"})").kind == ChatCall::Kind::ignored);
    CHECK_THAT(refused(P::botpress, R"({"payload":{"text":"x"}})"), Contains("conversationId"));

    const ChatCall own = read(P::webhook, R"({"conversation":"room-1","text":"hi","user":"u","entities":{"order":"4711"}})");
    CHECK(own.neutral["user"] == *parse_json(R"({"id":"u"})"));
    CHECK(chat_answer(P::webhook, own, "hi", Json::object({{"jobUid", "j"}})).body == R"({"text":"hi","jobUid":"j"})");
    CHECK_THAT(refused(P::webhook, R"({"conversation":"room-1","txt":"hi"})"), Contains("txt"));
    CHECK_THAT(refused(P::webhook, R"({"text":"hi"})"), Contains("conversation"));
}

TEST_CASE("bodies have their bounds", "[factory][chat]")
{
    const std::string deep = std::string(40, '[') + std::string(40, ']');
    CHECK(read_chat_call(P::webhook, kJson, R"({"conversation":"c","memory":{"a":)" + deep + "}}").error().code == Errc::too_large);
    CHECK(read_chat_call(P::webhook, kJson, R"({"conversation":"c","text":")" + std::string(40'001, 'x') + "\"}").error().code == Errc::too_large);
    CHECK(read_chat_call(P::webhook, kJson, R"({"conversation":"c","memory":{"a":")" + std::string(300'000, 'x') + "\"}}").error().code == Errc::too_large);
    CHECK_THAT(refused(P::webhook, R"({"conversation":")" + std::string(201, 'x') + "\"}"), Contains("no conversation id"));
    CHECK_THAT(refused(P::webhook, "[]"), Contains("must be an object"));
    CHECK_THAT(refused(P::webhook, "{"), Contains("JSON"));
    CHECK(takes_type(P::slack, "application/x-www-form-urlencoded; charset=utf-8"));
    CHECK_FALSE(takes_type(P::teams, kForm));
    CHECK_FALSE(takes_type(P::webhook, "text/plain"));
    CHECK_FALSE(takes_type(P::webhook, ""));
}

TEST_CASE("a refusal is a sentence in the platform's form, with the status that lets it be seen", "[factory][chat]")
{
    for (const P platform : kChatPlatforms) {
        INFO(name(platform));
        ChatCall call;
        const auto understood = chat_refusal(platform, &call, 409, "It is paused", "paused");
        CHECK(understood.status == (platform == P::webhook ? 409 : 200));
        CHECK_THAT(understood.body, Contains("It is paused"));
        CHECK(chat_refusal(platform, nullptr, 400, "What is this", "body").status == 400);
    }
    ChatCall event;
    event.answer_is_shown = false;
    CHECK(chat_refusal(P::slack, &event, 409, "It is paused", "").status == 200);   // Slack would try three times
    CHECK(chat_refusal(P::slack, &event, 503, "Later", "").status == 503);
    const std::string long_one = std::string(2996, 'x') + "ä" + std::string(100, 'y');
    CHECK_THAT(chat_refusal(P::teams, &event, 400, long_one, "").body, !Contains("\xef\xbf\xbd") && Contains("x…"));
}
