#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/resources/kinds.h"
#include "factory/resources/notifier_parts.h"
#include "factory/resources/resource.h"
#include "platform/base/clock.h"
#include "platform/base/fields.h"
#include "platform/base/redact.h"

namespace mill::factory {
namespace {

bool is_http_origin(std::string_view url, bool path_allowed)
{
    std::string_view rest;
    if (url.starts_with("https://")) rest = url.substr(8);
    else if (url.starts_with("http://")) rest = url.substr(7);
    else return false;
    if (url.size() > 2000 || rest.empty() || rest.front() == '/' || rest.front() == ':') return false;
    const auto slash = rest.find('/');
    const auto authority = rest.substr(0, slash);
    if (authority.find('@') != std::string_view::npos || authority.find("${") != std::string_view::npos) return false;  // the host is fixed
    for (const char c : url)
        if (static_cast<unsigned char>(c) < 0x21 || c == 0x7f) {
            if (c == ' ' && url.find("${") != std::string_view::npos) continue;  // inside a placeholder
            return false;
        }
    return path_allowed || slash == std::string_view::npos || slash + 1 == rest.size();
}

void text_map(Fields& fields, Json& out, std::string_view key)
{
    Json map = fields.object(key, Json::object());
    for (const auto& [name, value] : map.as_object()) {
        if (!value.is_string()) fields.mistake(key, fmt::format("has '{}' of type {}, expected a string", name, value.kind_name()));
        for (const char c : name + value.as_string())
            if (c == '\r' || c == '\n' || c == '\0') {
                fields.mistake(key, fmt::format("has a line break in '{}'", name));
                break;
            }
    }
    out.set(key, std::move(map));
}

/// Headers that prove who calls. Their values belong into a credential: a document is shown to whoever may read it.
void no_secret_headers(Fields& fields, const Json& headers)
{
    for (const auto& [name, value] : headers.as_object())
        if (is_secret_header(name))
            fields.mistake("headers", fmt::format("has '{}', which is secret: store it with `millwright credentials set NAME --kind header --json-file -` "
                                                  "({{\"name\": \"{}\", \"value\": \"...\"}}; kinds basic and bearer do, too) and write "
                                                  "`authentication: header` and `credentials: NAME`", name, name));
}

/// The name of a credential. What looks like a secret is not repeated in the error.
std::string signing_credential(Fields& fields)
{
    std::string name = fields.text("secret", "");
    if (!name.empty() && !is_name(name))
        fields.mistake("secret", "names a credential, the secret itself does not stand in a document: store it with `millwright credentials set NAME --kind hmac "
                                 "--json-file -` ({\"secret\": \"...\"}) and write `secret: NAME`");
    return name;
}

Json api(const Json& json, const std::string& where, Fields& top)
{
    Fields fields(json, where + ", api");
    Json out = Json::object();
    const std::string url = fields.text("url");
    if (!url.empty() && !is_http_origin(url, true))
        fields.mistake("url", fmt::format("must be an absolute http(s) address with a fixed host; found '{}'", url));
    out.set("url", Json(url));
    out.set("method", Json(fields.one_of("method", {"POST", "PUT", "PATCH"}, "POST")));
    text_map(fields, out, "headers");
    no_secret_headers(fields, out["headers"]);
    if (const Json body = fields.any("body", Json()); !body.is_null()) out.set("body", body);
    const std::string authentication = fields.one_of("authentication", {"none", "basic", "bearer", "header", "oauth", "certificate"}, "none");
    const std::string certificate = fields.text("certificate", "");
    const std::string credentials = fields.text("credentials", "");
    const std::string secret = signing_credential(fields);
    if (authentication != "none" && !authentication.empty() && credentials.empty())
        fields.mistake("credentials", fmt::format("is missing: authentication is {}", authentication));
    if (authentication == "none" && !credentials.empty())
        fields.mistake("authentication", "is none, so 'credentials' would never be used: say basic, bearer, header, oauth or certificate");
    if (authentication == "certificate" && !certificate.empty()) fields.mistake("certificate", "stands beside authentication: certificate, whose credential is 'credentials'");
    if ((authentication == "certificate" || !certificate.empty()) && !url.starts_with("https://")) fields.mistake("url", "must begin with https://: a client certificate is shown over TLS only");
    out.set("authentication", Json(authentication));
    if (!credentials.empty()) out.set("credentials", Json(credentials));
    if (!certificate.empty()) out.set("certificate", Json(certificate));
    if (!secret.empty()) out.set("secret", Json(secret));
    if (auto done = fields.done(); !done) top.mistake("api", done.error().what);
    return out;
}

/// Where the platform is, who calls it, and what only it asks for.
void of_platform(const std::string& platform, Fields& fields, Json& out)
{
    const bool may_be_open = platform == "rasa" || platform == "webhook";
    const std::string credentials = may_be_open ? fields.text("credentials", "") : fields.text("credentials");
    if (!credentials.empty()) out.set("credentials", Json(credentials));
    if (platform == "teams-bot") {
        out.set("serviceUrl", Json(fields.text("serviceUrl", "${ .invocationContext.replyTo.serviceUrl }")));
        Json hosts = Json::array();
        for (const std::string& host : fields.has("serviceHosts") ? fields.texts("serviceHosts") : std::vector<std::string>{"https://smba.trafficmanager.net"}) {
            if (!is_http_origin(host, false) || host.find("${") != std::string::npos) fields.mistake("serviceHosts", fmt::format("has '{}', expected an origin such as https://smba.trafficmanager.net", host));
            hosts.push(Json(host));
        }
        out.set("serviceHosts", std::move(hosts));
    } else if (platform != "teams") {
        std::string usual = platform == "sap-cai" ? "https://api.cai.tools.sap" : platform == "slack" ? "https://slack.com" : platform == "botpress" ? "https://api.botpress.cloud" : "";
        const std::string base = usual.empty() ? fields.text("baseUrl") : fields.text("baseUrl", usual);
        if (!base.empty() && (!is_http_origin(base, true) || base.find("${") != std::string::npos)) fields.mistake("baseUrl", fmt::format("must be an absolute http(s) address; found '{}'", base));
        out.set("baseUrl", Json(base));
    }
    if (platform == "sap-cai") out.set("delay", Json(fields.integer("delay", 0, 5, 0)));
    if (platform == "rasa") {
        out.set("intent", Json(fields.text("intent", "EXTERNAL_millwright")));
        out.set("channel", Json(fields.text("channel", "latest")));
    }
    if (platform == "botpress") {
        out.set("bot", Json(fields.text("bot")));
        out.set("user", Json(fields.text("user")));
    }
    if (platform == "webhook")
        if (const std::string secret = signing_credential(fields); !secret.empty()) out.set("secret", Json(secret));
}

Json chat(const Json& json, const std::string& where, const std::vector<std::string_view>& known, Fields& top)
{
    Fields fields(json, where + ", chat");
    Json out = Json::object();
    const std::string platform = fields.one_of("platform", {"sap-cai", "slack", "teams", "teams-bot", "rasa", "botpress", "webhook"});
    out.set("platform", Json(platform));
    const std::string reaction = fields.one_of("reaction", {"message", "memory"}, "message");
    if (reaction == "memory" && platform != "sap-cai") fields.mistake("reaction", "memory is SAP Conversational AI's: other platforms keep none for callers");
    out.set("reaction", Json(reaction));
    if (fields.has("progress")) {
        const std::string progress = fields.one_of("progress", {"new", "edit"});
        if (progress == "edit" && platform != "slack" && platform != "teams-bot") fields.mistake("progress", "edit is for slack and teams-bot: no other platform lets a message be changed");
        if (progress == "edit") out.set("progress", Json(progress));
    }
    if (platform != "teams") out.set("conversation", Json(fields.text("conversation")));
    const Json message = fields.any("message", Json());
    Json messages = fields.object("messages", Json::object());
    for (const auto& [event, text] : messages.as_object()) {
        if (std::find(known.begin(), known.end(), event) == known.end()) fields.mistake("messages", fmt::format("has '{}', expected {}", event, fmt::join(known, ", ")));
        if (!text.is_string() && !text.is_object()) fields.mistake("messages", fmt::format("has '{}' of type {}, expected a text or an object", event, text.kind_name()));
    }
    const bool has_message = message.is_object() || !message.as_string().empty();
    if (!message.is_null() && !message.is_string() && !message.is_object()) fields.mistake("message", fmt::format("is of type {}, expected a text or an object", message.kind_name()));
    if (has_message) out.set("message", message);
    if (!messages.empty()) out.set("messages", messages);
    if (reaction == "memory") {
        out.set("memory", fields.object("memory"));
        const Json bot = fields.object("bot");
        Fields slugs(bot, where + ", chat.bot");
        out.set("bot", Json::object({{"user", Json(slugs.text("user"))}, {"name", Json(slugs.text("name"))}, {"version", Json(slugs.text("version"))}}));
        if (auto done = slugs.done(); !done) fields.mistake("bot", done.error().what);
    } else if (!has_message && messages.empty()) {
        fields.mistake("message", "is missing: say message, or messages by event");
    }
    of_platform(platform, fields, out);
    if (auto done = fields.done(); !done) top.mistake("chat", done.error().what);
    return out;
}

}  // namespace

Result<Json> normalise_notifier(const Json& body, const std::string& where)
{
    Fields fields(body, where);
    Json out = Json::object();
    if (const std::string text = fields.text("description", ""); !text.empty()) out.set("description", Json(text));
    read_source(fields, out);
    if (const std::string when = fields.text("when", ""); !when.empty()) out.set("when", Json(when));
    const std::string type = fields.one_of("type", {"api", "chat", "mail"});
    out.set("type", Json(type));
    if (type == "api") out.set("api", api(fields.object("api"), where, fields));
    if (type == "chat") out.set("chat", chat(fields.object("chat"), where, notifier_events(notifier_source(out)), fields));
    if (type == "mail") out.set("mail", read_mail(fields.object("mail"), where, fields));
    for (const std::string_view other : {"api", "chat", "mail"})
        if (other != type && fields.has(other)) {
            fields.any(other, Json());
            fields.mistake(other, fmt::format("does not belong to type {}", type));
        }
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

}  // namespace mill::factory
