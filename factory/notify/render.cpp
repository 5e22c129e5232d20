#include "factory/notify/render.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/notify/chat.h"
#include "factory/notify/evaluated.h"
#include "factory/notify/render_mail.h"
#include "factory/notify/template.h"
#include "platform/base/encode.h"
#include "platform/base/text.h"

namespace mill::factory {
namespace {

/// With the members that only the outside needs.
Json enriched(const Json& given, const RenderOptions& options)
{
    Json document = given;
    Json job = document["job"];
    if (job.is_object()) {
        const std::string uid = percent_encode(job["uid"].as_string());
        job.set("monitoringUrl", Json(options.public_url + "/v1/jobs/" + uid));
        // For people: its page in the console. Without a known address there is no link, rather than one that leads nowhere.
        if (!options.public_url.empty()) document.set("links", Json::object({{"job", Json(options.public_url + "/#/jobs/" + uid)}}));
        document.set("job", std::move(job));
    }
    return document;
}

/// Whose credentials it may use.
Json environment_of(const Json& document)
{
    for (const char* about : {"job", "agent"})
        if (const Json& name = document[about]["environment"]; name.is_string()) return name;
    return Json();
}

Result<std::string> line(std::string_view text, const Json& document, std::string_view what)
{
    const auto read = Template::parse(text);
    if (!read) return fail(std::string(what), read.error());
    std::string out = read->text(document);
    for (const char c : out)
        if (static_cast<unsigned char>(c) < 0x20 && c != '\t') return fail(Errc::invalid, fmt::format("{}: its value has a line break or control character", what));
    return out;
}

bool looks_like_json(std::string_view text)
{
    const std::size_t at = text.find_first_not_of(" \t\r\n");
    return at != std::string_view::npos && (text[at] == '{' || text[at] == '[') && text.substr(at, 2) != "${";
}

Json cloud_event(const Notification& notification, const Json& document, const RenderOptions& options)
{
    const Json& times = document["timings"];
    Json data = document;
    data.erase("input");     // what the caller sent may be confidential; a template can name it
    data.erase("evidence");
    data.erase(kEvaluated);
    std::string about = "job";
    Json subject = document["job"]["uid"];
    for (const auto& [member, names] : {std::pair{"agent", "name"}, {"credential", "name"}, {"notifier", "name"}, {"delivery", "id"}})
        if (document[member].is_object()) {
            about = member;
            subject = document[member][names];
        }
    Json out = Json::object({{"specversion", "1.0"}, {"id", notification.delivery}, {"source", options.source},
                             {"type", fmt::format("io.millwright.{}.{}", about, notification.event)}, {"subject", std::move(subject)}});
    if (about != "job" || notification.event == "waiting" || notification.event == "question") out.set("time", document["time"]);
    for (const char* name : {"ended", "started", "assigned", "created"})
        if (!times[name].is_null() && !out.contains("time")) out.set("time", times[name]);
    return out.set("datacontenttype", "application/json").set("data", std::move(data));
}

Status render_body(const Json& body, const Json& document, Json& request, std::string& content_type)
{
    if (!body.is_string()) {
        auto rendered = render_json(body, document);
        if (!rendered) return fail("body", rendered.error());
        request.set("body", Json(dump_json(*rendered)));
        content_type = "application/json";
        return {};
    }
    const auto read = Template::parse(body.as_string());
    if (!read) return fail("body", read.error());
    if (looks_like_json(body.as_string())) {
        std::string text = read->json_text(document);
        if (const auto valid = parse_json(text); !valid) return fail(Errc::invalid, "body: with its values filled in it is not JSON: " + valid.error().what);
        request.set("body", Json(std::move(text)));
        content_type = "application/json";
        return {};
    }
    const Json value = read->value(document);
    content_type = value.is_string() || value.is_null() ? "text/plain; charset=utf-8" : "application/json";
    request.set("body", Json(value.is_null() ? std::string() : value.is_string() ? value.as_string() : dump_json(value)));
    return {};
}

Result<Json> render_api(const Notification& notification, const Json& document, const RenderOptions& options)
{
    const Json& api = notification.notifier["api"];
    Json request = Json::object({{"kind", "api"}, {"notifier", notification.notifier["name"]}});
    request.set("method", api["method"].is_string() ? api["method"] : Json("POST"));
    const auto url = Template::parse(api["url"].as_string());
    if (!url) return fail("api.url", url.error());
    if (const auto missing = url->missing(document); !missing.empty()) return fail(Errc::invalid, "api.url: " + missing_words(missing));
    request.set("url", Json(url->text(document, percent_encode)));
    std::string content_type;
    if (api.contains("body") && !api["body"].is_null()) {
        if (auto rendered = render_body(api["body"], document, request, content_type); !rendered) return fail("api", rendered.error());
    } else {
        content_type = "application/cloudevents+json; charset=utf-8";
        request.set("body", Json(dump_json(cloud_event(notification, document, options))));
    }
    Json headers = Json::object();
    for (const auto& [name, value] : api["headers"].as_object()) {
        auto rendered = line(value.as_string(), document, "api.headers." + name);
        if (!rendered) return fail(rendered.error());
        if (lower_case(name) == "content-type") content_type = *rendered;
        else headers.set(name, Json(std::move(*rendered)));
    }
    headers.set("Content-Type", Json(content_type));
    request.set("headers", std::move(headers));
    request.set("authentication", api["authentication"].is_string() ? api["authentication"] : Json("none"));
    request.set("environment", environment_of(document));
    request.set("credentials", api["credentials"]);
    if (!api["certificate"].is_null()) request.set("certificate", api["certificate"]);
    if (!api["secret"].as_string().empty()) request.set("secret", api["secret"]);
    return request;
}

}  // namespace

Result<Rendered> render_notification(const Notification& notification, const RenderOptions& options)
{
    const Json& notifier = notification.notifier;
    const Json document = enriched(notification.job, options);
    if (const Json& when = notifier["when"]; when.is_string() && !when.as_string().empty()) {
        const auto condition = Condition::parse(when.as_string());
        if (!condition) return fail("when", condition.error());
        if (!condition->needs_evaluation() && !condition->holds(document)) return Rendered{false, {}};
    }
    if (notifier["type"].as_string() == "chat" && !has_message(notifier["chat"], notification.event)) return Rendered{false, {}};
    if (auto waiting = unrendered(notification, document)) return Rendered{true, std::move(*waiting)};
    return fill_in(notification, document, options);
}

Result<Rendered> fill_in(const Notification& notification, const Json& document, const RenderOptions& options)
{
    const Json& notifier = notification.notifier;
    const std::string& type = notifier["type"].as_string();
    if (type == "api") {
        auto request = render_api(notification, document, options);
        if (!request) return fail(std::move(request.error()));
        return Rendered{true, std::move(*request)};
    }
    if (type == "chat") {
        auto request = render_chat(notification, document);
        if (!request) return fail(std::move(request.error()));
        if (!*request) return Rendered{false, {}};
        const bool sap = notifier["chat"]["platform"].as_string() == "sap-cai";
        (*request)->set("kind", sap ? "sap-cai" : "chat").set("notifier", notifier["name"]).set("environment", environment_of(document));
        (*request)->set("credentials", notifier["chat"]["credentials"]);
        return Rendered{true, std::move(**request)};
    }
    if (type == "mail") {
        auto request = render_mail(notification, document);
        if (!request) return fail(std::move(request.error()));
        request->set("environment", environment_of(document));
        return Rendered{true, std::move(*request)};
    }
    return fail(Errc::invalid, fmt::format("notifiers of type '{}' are not supported", type));
}

Renderer make_renderer(RenderOptions options)
{
    while (options.public_url.ends_with('/')) options.public_url.pop_back();
    return [options = std::move(options)](const Notification& notification) { return render_notification(notification, options); };
}

Status check_notifier(const Json& notifier)
{
    std::vector<std::string> mistakes;
    const auto note = [&](const Status& status) {
        if (!status) mistakes.push_back(status.error().what);
    };
    if (const Json& when = notifier["when"]; when.is_string() && !when.as_string().empty())
        if (const auto condition = Condition::parse(when.as_string()); !condition) mistakes.push_back("when: " + condition.error().what);
    for (const auto& [place, value] : template_places(notifier)) note(check_templates(value, place));
    const Json& chat = notifier["chat"];
    if (const std::string wrong = chat["message"].is_null() ? std::string() : message_mistake(chat["message"]); !wrong.empty()) mistakes.push_back("chat.message " + wrong);
    for (const auto& [event, message] : chat["messages"].as_object())
        if (const std::string wrong = message_mistake(message); !wrong.empty()) mistakes.push_back(fmt::format("chat.messages.{} {}", event, wrong));
    const std::string& url = notifier["api"]["url"].as_string();
    if (const auto scheme = url.find("://"); scheme != std::string::npos) {
        const auto host_end = url.find_first_of("/?#", scheme + 3);
        if (url.substr(0, host_end).find("${") != std::string::npos) mistakes.emplace_back("api.url: scheme and host must be written out: a caller must not choose where notifications go");
    }
    if (mistakes.empty()) return {};
    return fail(Errc::invalid, fmt::format("{}", fmt::join(mistakes, "; ")));
}

}  // namespace mill::factory
