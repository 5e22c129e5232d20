#include "factory/notify/chat.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/notify/chat_teams.h"
#include "factory/notify/template.h"
#include "factory/notify/platform_text.h"
#include "platform/base/encode.h"

namespace mill::factory {
namespace {

constexpr std::size_t kMostButtons = 10, kMostElements = 30;

const std::string& text_of(const Json& message, std::string_view member) { return message[member].as_string(); }
bool has(const Json& message, std::string_view member) { return !text_of(message, member).empty() || !message[member].as_array().empty(); }
bool is_card(const Json& message) { return has(message, "title") || has(message, "subtitle") || (has(message, "picture") && (has(message, "text") || has(message, "buttons"))); }

void put(Json& out, std::string_view name, const std::string& value)
{
    if (!value.empty()) out.set(std::string(name), Json(value));
}

/// All of it as lines, for platforms that show no more, and beside pictures and buttons for those who cannot see them.
std::string as_text(const Json& message)
{
    std::vector<std::string> lines;
    for (const char* member : {"title", "subtitle", "text"})
        if (has(message, member)) lines.push_back(text_of(message, member));
    for (const Json& element : message["list"].as_array()) {
        std::string line = "- " + text_of(element, "title");
        if (has(element, "subtitle")) line += ": " + text_of(element, "subtitle");
        lines.push_back(std::move(line));
    }
    for (const char* member : {"buttons", "quickReplies"})
        for (const Json& button : message[member].as_array())
            lines.push_back(has(button, "url") ? fmt::format("{}: {}", text_of(button, "title"), text_of(button, "url")) : "- " + text_of(button, "title"));
    if (lines.empty() && has(message, "picture")) lines.push_back(text_of(message, "picture"));
    return fmt::format("{}", fmt::join(lines, "\n"));
}

Result<std::string> conversation_in(const Json& chat, const Json& document)
{
    const auto read = Template::parse(chat["conversation"].as_string());
    if (!read) return fail("chat.conversation", read.error());
    if (const auto missing = read->missing(document); !missing.empty())
        return fail(Errc::invalid, fmt::format("no conversation id: {}; the caller must send it with the run under this name", missing_words(missing)));
    std::string id = read->text(document);
    if (!is_conversation_id(id)) return fail(Errc::invalid, fmt::format("'{}' is not a conversation id (1 to 200 of A-Z a-z 0-9 . _ : @ -)", id.substr(0, 200)));
    return id;
}

// --- SAP Conversational AI -------------------------------------------------------------------------------------------------------------

Json sap_buttons(const Json& buttons, bool typed)
{
    Json out = Json::array();
    for (const Json& button : buttons.as_array()) {
        const bool link = has(button, "url");
        Json one = Json::object({{"title", button["title"]}, {"value", link ? button["url"] : button["value"]}});
        if (typed) one.set("type", link ? "web_url" : "postback");
        out.push(std::move(one));
    }
    return out;
}

Json sap_card(const Json& message)
{
    Json out = Json::object();
    put(out, "title", has(message, "title") ? text_of(message, "title") : text_of(message, "text"));
    put(out, "subtitle", has(message, "subtitle") ? text_of(message, "subtitle") : has(message, "title") ? text_of(message, "text") : std::string());
    put(out, "imageUrl", text_of(message, "picture"));
    return out.set("buttons", sap_buttons(message["buttons"], true));
}

Json sap_message(const Json& message, std::int64_t delay)
{
    Json out = Json::object();
    if (has(message, "list")) {
        Json elements = Json::array();
        for (const Json& element : message["list"].as_array()) elements.push(sap_card(element));
        out.set("type", "list").set("content", Json::object({{"elements", std::move(elements)}, {"buttons", sap_buttons(message["buttons"], true)}}));
    } else if (has(message, "quickReplies")) {
        out.set("type", "quickReplies").set("content", Json::object({{"title", Json(has(message, "text") ? text_of(message, "text") : text_of(message, "title"))},
                                                                     {"buttons", sap_buttons(message["quickReplies"], false)}}));
    } else if (is_card(message)) {
        out.set("type", "card").set("content", sap_card(message));
    } else if (has(message, "buttons")) {
        out.set("type", "buttons").set("content", Json::object({{"title", message["text"]}, {"buttons", sap_buttons(message["buttons"], true)}}));
    } else if (has(message, "picture")) {
        out.set("type", "picture").set("content", message["picture"]);
    } else {
        out.set("type", "text").set("content", message["text"]);
    }
    if (delay > 0) out.set("delay", Json(delay));
    return out;
}

// --- Slack: Block Kit -------------------------------------------------------------------------------------------------------------------

Json slack_text(const std::string& text) { return Json::object({{"type", "mrkdwn"}, {"text", Json(slack_escaped(text).substr(0, 3000))}}); }

Json slack_actions(const Json& buttons)
{
    Json elements = Json::array();
    std::size_t number = 0;
    for (const Json& button : buttons.as_array()) {
        Json one = Json::object({{"type", "button"}, {"text", Json::object({{"type", "plain_text"}, {"text", Json(text_of(button, "title").substr(0, 75))}})},
                                 {"action_id", Json(fmt::format("millwright-{}", ++number))}});
        put(one, "url", text_of(button, "url"));
        put(one, "value", text_of(button, "value"));
        elements.push(std::move(one));
    }
    return Json::object({{"type", "actions"}, {"elements", std::move(elements)}});
}

void slack_element(Json& blocks, const Json& message)
{
    std::string text;
    if (has(message, "title")) text = "*" + text_of(message, "title") + "*";
    for (const char* member : {"subtitle", "text"})
        if (has(message, member)) text += (text.empty() ? "" : "\n") + text_of(message, member);
    Json image = Json::object({{"type", "image"}, {"image_url", message["picture"]}, {"alt_text", Json(has(message, "title") ? text_of(message, "title") : "picture")}});
    if (!text.empty()) {
        Json section = Json::object({{"type", "section"}, {"text", slack_text(text)}});
        if (has(message, "picture")) section.set("accessory", std::move(image));
        blocks.push(std::move(section));
    } else if (has(message, "picture")) {
        blocks.push(std::move(image));
    }
    if (has(message, "buttons")) blocks.push(slack_actions(message["buttons"]));
}

Json slack_body(const Json& message, const std::string& conversation)
{
    const std::size_t colon = conversation.find(':');
    Json out = Json::object({{"channel", Json(conversation.substr(0, colon))}, {"text", Json(slack_escaped(as_text(message)))}});
    if (colon != std::string::npos) out.set("thread_ts", Json(conversation.substr(colon + 1)));
    Json blocks = Json::array();
    slack_element(blocks, message);
    for (const Json& element : message["list"].as_array()) slack_element(blocks, element);
    if (has(message, "quickReplies")) blocks.push(slack_actions(message["quickReplies"]));
    if (blocks.size() > 1 || is_card(message) || has(message, "picture")) out.set("blocks", std::move(blocks));
    return out;
}

// --- Botpress ---------------------------------------------------------------------------------------------------------------------------

Json botpress_card(const Json& message)
{
    Json actions = Json::array();
    for (const Json& button : message["buttons"].as_array())
        actions.push(has(button, "url") ? Json::object({{"action", "url"}, {"label", button["title"]}, {"value", button["url"]}})
                                        : Json::object({{"action", "postback"}, {"label", button["title"]}, {"value", button["value"]}}));
    Json out = Json::object();
    put(out, "title", has(message, "title") ? text_of(message, "title") : text_of(message, "text"));
    put(out, "subtitle", has(message, "subtitle") ? text_of(message, "subtitle") : has(message, "title") ? text_of(message, "text") : std::string());
    put(out, "imageUrl", text_of(message, "picture"));
    return out.set("actions", std::move(actions));
}

std::pair<std::string, Json> botpress_payload(const Json& message)
{
    if (has(message, "list")) {
        Json items = Json::array();
        for (const Json& element : message["list"].as_array()) items.push(botpress_card(element));
        return {"carousel", Json::object({{"items", std::move(items)}})};
    }
    if (has(message, "quickReplies")) {
        Json options = Json::array();
        for (const Json& reply : message["quickReplies"].as_array()) options.push(Json::object({{"label", reply["title"]}, {"value", reply["value"]}}));
        return {"choice", Json::object({{"text", Json(has(message, "text") ? text_of(message, "text") : text_of(message, "title"))}, {"options", std::move(options)}})};
    }
    if (is_card(message) || has(message, "buttons")) return {"card", botpress_card(message)};
    if (has(message, "picture")) return {"image", Json::object({{"imageUrl", message["picture"]}})};
    return {"text", Json::object({{"text", message["text"]}})};
}

// --- all --------------------------------------------------------------------------------------------------------------------------------

std::string without_last_slash(std::string text)
{
    while (text.ends_with('/')) text.pop_back();
    return text;
}

const Json& written_for(const Json& chat, const std::string& event)
{
    const Json& by_event = chat["messages"][event];
    return by_event.is_null() ? chat["message"] : by_event;
}

/// The message that this event has, with its values filled in. Nothing: none.
Result<std::optional<Json>> message_of(const Notification& notification, const Json& document)
{
    const Json& written = written_for(notification.notifier["chat"], notification.event);
    if (written.is_null() || (written.is_string() && written.as_string().empty())) return std::optional<Json>();
    if (written.is_string()) {
        const auto read = Template::parse(written.as_string());
        if (!read) return fail("chat.message", read.error());
        const std::string text = read->text(document);
        if (text.empty()) return fail(Errc::invalid, fmt::format("the message is empty: {}", missing_words(read->missing(document))));
        return std::optional(Json::object({{"text", Json(text)}}));
    }
    auto message = render_json(written, document);
    if (!message) return fail("chat.message", message.error());
    if (const std::string wrong = message_mistake(*message); !wrong.empty()) return fail(Errc::invalid, fmt::format("chat.message, with its values filled in, {}", wrong));
    return std::optional(std::move(*message));
}

Json memory_request(const Json& chat, const std::string& base, const std::string& conversation, Json values)
{
    const Json& bot = chat["bot"];
    return Json::object({{"method", "PUT"},
                         {"url", Json(fmt::format("{}/build/v1/users/{}/bots/{}/versions/{}/builder/conversation_states/{}", base, percent_encode(bot["user"].as_string()),
                                                  percent_encode(bot["name"].as_string()), percent_encode(bot["version"].as_string()), percent_encode(conversation)))},
                         {"body", Json(dump_json(Json::object({{"language", chat["language"].is_string() ? chat["language"] : Json("en")}, {"merge_memory", true}, {"memory", std::move(values)}})))}});
}

}  // namespace

bool has_message(const Json& chat, const std::string& event)
{
    const Json& written = written_for(chat, event);
    return chat["reaction"].as_string() == "memory" || !(written.is_null() || (written.is_string() && written.as_string().empty()));
}

std::string message_mistake(const Json& message)
{
    if (message.is_string()) return {};
    if (!message.is_object()) return "must be a text or an object";
    static constexpr std::array kTexts{"text", "title", "subtitle", "picture"};
    const auto buttons = [](const Json& list, bool links) -> std::string {
        if (!list.is_array()) return "must be a list";
        if (list.size() > kMostButtons) return fmt::format("has more than {} of them", kMostButtons);
        for (const Json& button : list.as_array()) {
            if (!button.is_object() || text_of(button, "title").empty()) return "has one without a title";
            for (const auto& [name, value] : button.as_object())
                if ((name != "title" && name != "value" && !(links && name == "url")) || !value.is_string()) return fmt::format("has '{}', expected title and value{} as texts", name, links ? " or url" : "");
            if (text_of(button, "value").empty() == text_of(button, "url").empty()) return fmt::format("has '{}' with {}", text_of(button, "title"), links ? "neither or both of value and url" : "no value");
        }
        return {};
    };
    const auto element = [&](const Json& item, bool inner) -> std::string {
        if (!item.is_object()) return "is no object";
        for (const auto& [name, value] : item.as_object()) {
            if (std::find(kTexts.begin(), kTexts.end(), std::string_view(name)) != kTexts.end()) {
                if (!value.is_string() && !value.is_null()) return fmt::format("has '{}' of type {}, expected a text", name, value.kind_name());
            } else if (name == "buttons" || (name == "quickReplies" && !inner)) {
                if (const std::string wrong = buttons(value, name == "buttons"); !wrong.empty()) return fmt::format("'{}' {}", name, wrong);
            } else if (name != "list" || inner) {
                return fmt::format("has '{}', expected text, title, subtitle, picture, buttons{}", name, inner ? "" : ", quickReplies or list");
            }
        }
        return {};
    };
    if (const std::string wrong = element(message, false); !wrong.empty()) return wrong;
    if (const Json* list = message.find("list"); list != nullptr) {
        if (!list->is_array() || list->size() > kMostElements) return fmt::format("'list' must be a list of at most {}", kMostElements);
        for (const Json& item : list->as_array()) {
            if (const std::string wrong = element(item, true); !wrong.empty()) return fmt::format("'list' has an element that {}", wrong);
            if (text_of(item, "title").empty()) return "'list' has an element without a title";
        }
    }
    if (!has(message, "text") && !has(message, "title") && !has(message, "picture") && !has(message, "list")) return "has no text, title, picture or list";
    return {};
}

Result<std::optional<Json>> render_chat(const Notification& notification, const Json& document)
{
    const Json& chat = notification.notifier["chat"];
    const std::string& platform = chat["platform"].as_string();
    const bool memory = chat["reaction"].as_string() == "memory";
    auto message = memory ? Result<std::optional<Json>>(std::optional(Json())) : message_of(notification, document);
    if (!message) return fail(std::move(message.error()));
    if (!*message) return std::optional<Json>();
    std::string conversation;
    if (platform != "teams" && platform != "teams-bot") {  // a workflow's address is one conversation
        auto found = conversation_in(chat, document);
        if (!found) return fail(std::move(found.error()));
        conversation = std::move(*found);
    }
    const std::string base = without_last_slash(chat["baseUrl"].as_string());
    const bool edits = chat["progress"].as_string() == "edit", final = notification.event != "start" && notification.event != "waiting";
    Json request = Json::object();
    const auto post = [&](std::string url, const Json& body) { request.set("method", "POST").set("url", Json(std::move(url))).set("body", Json(dump_json(body))); };
    if (memory) {
        auto values = render_json(chat["memory"], document);
        if (!values) return fail("chat.memory", values.error());
        request = memory_request(chat, base, conversation, std::move(*values));
    } else if (platform == "sap-cai") {
        post(fmt::format("{}/connect/v1/conversations/{}/messages", base, percent_encode(conversation)),
             Json::object({{"messages", Json::array({sap_message(**message, chat["delay"].as_integer())})}}));
    } else if (platform == "slack") {
        post(base + "/api/chat.postMessage", slack_body(**message, conversation));
        if (edits) request.set("edit", Json::object({{"url", Json(base + "/api/chat.update")}, {"final", Json(final)}}));
    } else if (platform == "teams") {
        post(std::string(), teams_body(**message, TeamsWay::workflow));
    } else if (platform == "teams-bot") {
        auto url = teams_bot_url(chat, document);
        if (!url) return fail(std::move(url.error()));
        post(std::move(*url), teams_body(**message, TeamsWay::bot));
        if (edits) request.set("edit", Json::object({{"final", Json(final)}}));
    } else if (platform == "rasa") {
        Json entities = Json::object({{"text", Json(as_text(**message))}, {"event", Json(notification.event)}, {"job", document["job"]["uid"]}});
        if (!(*message)->find("text") || (*message)->size() > 1) entities.set("message", **message);
        post(fmt::format("{}/conversations/{}/trigger_intent?output_channel={}", base, percent_encode(conversation), percent_encode(chat["channel"].as_string())),
             Json::object({{"name", chat["intent"]}, {"entities", std::move(entities)}}));
    } else if (platform == "botpress") {
        auto [type, payload] = botpress_payload(**message);
        post(base + "/v1/chat/messages", Json::object({{"conversationId", Json(conversation)}, {"userId", chat["user"]}, {"type", Json(type)}, {"payload", std::move(payload)}, {"tags", Json::object()}}));
        request.set("headers", Json::object({{"x-bot-id", chat["bot"]}}));
    } else if (platform == "webhook") {
        post(base, Json::object({{"type", "message"}, {"conversation", Json(conversation)}, {"event", Json(notification.event)}, {"job", Json::object({{"uid", document["job"]["uid"]}, {"state", document["job"]["state"]}})},
                                 {"message", **message}, {"text", Json(as_text(**message))}}));
        if (!chat["secret"].as_string().empty()) request.set("secret", chat["secret"]);
    } else {
        return fail(Errc::invalid, fmt::format("the chat platform '{}' is not known", platform));
    }
    request.set("platform", Json(platform));
    return std::optional<Json>(std::move(request));
}

std::optional<SlackRefusal> slack_refusal(std::string_view body)
{
    const auto answer = parse_json(body, {.bytes = 1024 * 1024, .depth = 32});
    if (!answer || !answer->is_object() || !(*answer)["ok"].is_bool()) return SlackRefusal{"answered 200 with what is no answer of Slack's", true};
    if ((*answer)["ok"].as_bool()) return std::nullopt;
    const std::string error = (*answer)["error"].as_string().substr(0, 200);
    static constexpr std::array kAgain{"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"};
    SlackRefusal out{fmt::format("answered ok: false, {}", error.empty() ? "without a reason" : error), std::find(kAgain.begin(), kAgain.end(), std::string_view(error)) != kAgain.end()};
    for (const Json& line : (*answer)["response_metadata"]["messages"].as_array())
        if (out.why.size() < 500) out.why += ": " + line.as_string().substr(0, 200);
    return out;
}

}  // namespace mill::factory
