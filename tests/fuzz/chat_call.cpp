// Any text as the body of a chat platform's call, as a trigger's input, reply and signature: refused with words, or within its bounds.
#include <cstdlib>
#include <string_view>

#include "factory/chat/answer.h"
#include "factory/chat/mapping.h"
#include "factory/chat/said_answer.h"
#include "factory/chat/signature.h"
#include "factory/notify/platform_text.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size)
{
    using namespace mill;
    using namespace mill::factory;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static const Json input = *parse_json(R"({"text":"${ .text }","who":"${ \"\\(.user.id)\" }","order":"${ .entities.order }"})");
    static const Json neutral = *parse_json(R"({"text":"t","user":{"id":"u"},"conversation":"c","memory":{"a":[1]},"entities":{},"platform":"webhook"})");
    for (const ChatPlatform platform : kChatPlatforms)
        for (const std::string_view type : {"application/json", "application/x-www-form-urlencoded"}) {
            if (!takes_type(platform, type)) continue;
            const auto call = read_chat_call(platform, type, text);
            if (!call && call.error().what.empty()) std::abort();
            if (!call) continue;
            if (call->kind == ChatCall::Kind::message) {
                if (!is_conversation_id(call->context["conversationId"].as_string()) || call->neutral["text"].as_string().size() > 40'000) std::abort();
                const auto made = chat_input(input, call->neutral);
                if (!made || !made->is_object()) std::abort();
                if (!chat_reply("${ .text } ${ .job.uid }", call->neutral, "uid", "")) std::abort();
                const auto said = chat_answer(platform, *call, call->neutral["text"].as_string());
                if (!said.body.empty() && !parse_json(said.body)) std::abort();
            } else if (!parse_json(chat_acknowledgement(platform, *call).body.empty() ? "{}" : chat_acknowledgement(platform, *call).body)) {
                std::abort();
            }
        }
    if (const auto made = chat_input_template(Json(text)); made && (!made->is_object() || !chat_input(Json(text), neutral))) std::abort();
    if (check_chat_reply(text) && !chat_reply(text, neutral, "uid", "it waits")) std::abort();
    std::string said(text);
    if (!take_mark(said).empty() && said.size() >= text.size()) std::abort();
    for (const char* schema : {R"({"type":"boolean"})", R"({"type":"number"})", R"({"enum":["a",1]})", R"({"type":"object","properties":{"a":{"type":"string"}}})", "null"}) {
        const auto answer = read_answer(said, *parse_json(schema));
        if (answer ? answer->value.is_null() : answer.error().what.empty()) std::abort();
    }
    // Nobody guesses a signature.
    if (check_slack_signature("secret", text, "1700000000", "body", {1'700'000'000'000'000})) std::abort();
    if (check_teams_signature("c2VjcmV0", text, "body")) std::abort();
    if (check_standard_signature("secret", "id", "1700000000", text, "body", {1'700'000'000'000'000})) std::abort();
    if (check_hub_signature("secret", text, "body")) std::abort();
    (void)check_chat_time(text, {1'700'000'000'000'000});
    return 0;
}
