// From a notification to the mail that will be sent.
#include <algorithm>

#include <fmt/format.h>

#include "factory/notify/render_mail.h"
#include "factory/notify/template.h"
#include "platform/base/text.h"
#include "platform/smtp.h"

namespace mill::factory {
namespace {

constexpr std::size_t kMostText = 256 * 1024, kMostSubject = 500;

/// What a mail says whose notifier does not.
std::string usual_subject(const Json& document)
{
    const std::string& event = document["event"].as_string();
    const std::string& trigger = document["job"]["trigger"].as_string();
    if (event == "waiting") return fmt::format("Job of {} waits for {}", trigger, document["why"]["waited"].as_string());
    if (event == "dead") return fmt::format("Notifier {} could not deliver {}", document["delivery"]["notifier"].as_string(), document["delivery"]["event"].as_string());
    if (event == "held") return fmt::format("Notifier {} is held", document["notifier"]["name"].as_string());
    if (document["agent"].is_object()) return fmt::format("Agent {} is {}", document["agent"]["name"].as_string(), event);
    if (document["credential"].is_object()) return fmt::format("Credential {} {}", document["credential"]["name"].as_string(), event == "expired" ? "has expired" : "expires in " + document["credential"]["left"].as_string());
    return fmt::format("Job of {}: {}", trigger, document["job"]["state"].as_string());
}

std::string usual_text(const Json& document)
{
    std::string out;
    const auto put = [&](std::string_view what, const Json& value) {
        if (!value.is_null() && !(value.is_string() && value.as_string().empty())) out += fmt::format("{}: {}\n", what, value.is_string() ? value.as_string() : dump_json(value));
    };
    put("Why", document["why"]["text"]);
    put("Error", document["error"]["title"]);
    put("Detail", document["error"]["detail"]);
    put("Reason", document["job"]["reason"]);
    put("Job", document["job"]["uid"]);
    put("Deployment", document["job"]["deployment"]);
    put("Environment", document["job"]["environment"]);
    put("Agent", document["job"]["agent"]);
    put("See", document["links"]["job"]);
    put("Delivery", document["delivery"]["id"]);
    put("It said", document["delivery"]["error"]);
    put("Because", document["notifier"]["why"]);
    put("Offline since", document["agent"]["offlineSince"]);
    put("It said", document["agent"]["goodbye"]);
    put("Its jobs", document["agent"]["jobs"].empty() ? Json() : document["agent"]["jobs"]);
    put("Environment", document["agent"]["environment"]);
    put("Expires", document["credential"]["expires"]);
    return out;
}

Result<Json> recipients(const Json& mail, const char* member, const Json& document)
{
    Json out = Json::array();
    for (const Json& one : mail[member].as_array()) {
        const auto read = Template::parse(one.as_string());
        if (!read) return fail(fmt::format("mail.{}", member), read.error());
        if (read->is_plain()) {
            out.push(one);
            continue;
        }
        if (const auto missing = read->missing(document); !missing.empty()) return fail(Errc::invalid, fmt::format("mail.{}: {}", member, missing_words(missing)));
        const std::string text = read->text(document);
        const auto mailbox = platform::parse_mailbox(text);
        if (!mailbox) return fail(fmt::format("mail.{}", member), mailbox.error());
        const std::string domain = lower_case(mailbox->address.substr(mailbox->address.rfind('@') + 1));   // RFC 5321, 2.4: domains know no case
        const auto& allowed = mail["domains"].as_array();
        if (std::none_of(allowed.begin(), allowed.end(), [&](const Json& each) { return lower_case(each.as_string()) == domain; }))
            return fail(Errc::invalid, fmt::format("mail.{}: '{}' is not in the notifier's domains", member, mailbox->address));
        out.push(Json(text));
    }
    return out;
}

Result<std::string> filled(const Json& mail, const char* member, const Json& document, const std::string& usual, std::string (*encode)(std::string_view))
{
    if (mail[member].as_string().empty()) return usual;
    const auto read = Template::parse(mail[member].as_string());
    if (!read) return fail(fmt::format("mail.{}", member), read.error());
    return read->text(document, encode);
}

std::string plain(std::string_view text) { return std::string(text); }
std::string html_escaped(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        if (c == '&') out += "&amp;";
        else if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else if (c == '"') out += "&quot;";
        else if (c == '\'') out += "&#39;";
        else out += c;
    }
    return out;
}

/// Not within a character.
void shorten(std::string& text, std::size_t most)
{
    if (text.size() <= most) return;
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
    text.resize(most);
}

}  // namespace

Result<Json> render_mail(const Notification& notification, const Json& document)
{
    const Json& mail = notification.notifier["mail"];
    const auto server = platform::parse_mail_server(mail["server"].as_string(), mail["tls"].as_string());
    if (!server) return fail("mail.server", server.error());
    auto to = recipients(mail, "to", document), cc = recipients(mail, "cc", document);
    if (!to) return fail(std::move(to.error()));
    if (!cc) return fail(std::move(cc.error()));
    auto subject = filled(mail, "subject", document, usual_subject(document), plain);
    if (!subject) return fail(std::move(subject.error()));
    auto text = filled(mail, "text", document, usual_text(document), plain);
    if (!text) return fail(std::move(text.error()));
    auto html = filled(mail, "html", document, {}, html_escaped);
    if (!html) return fail(std::move(html.error()));
    shorten(*subject, kMostSubject);
    shorten(*text, kMostText);
    shorten(*html, kMostText);
    const std::string url = fmt::format("{}://{}:{}", server->tls == platform::MailServer::Tls::from_start ? "smtps" : "smtp", server->host, server->port);
    Json request = Json::object({{"kind", "mail"}, {"notifier", notification.notifier["name"]}, {"method", "MAIL"}, {"url", Json(url)}, {"server", mail["server"]}, {"tls", mail["tls"]},
                                 {"from", mail["from"]}, {"to", *to}, {"cc", *cc}, {"subject", Json(*subject)}, {"body", Json(std::move(*text))}, {"date", document["time"]}});
    request.set("headers", Json::object({{"From", mail["from"]}, {"To", *to}, {"Subject", Json(*subject)}}));
    if (!cc->empty()) {
        Json headers = request["headers"];
        request.set("headers", headers.set("Cc", *cc));
    }
    if (!mail["replyTo"].is_null()) request.set("replyTo", mail["replyTo"]);
    if (!html->empty()) request.set("html", Json(std::move(*html)));
    if (const std::string& uid = document["job"]["uid"].as_string(); !uid.empty()) request.set("about", Json("job." + uid));   // mails of one job stand together
    request.set("credentials", mail["credentials"]);
    return request;
}

}  // namespace mill::factory
