#include <fmt/format.h>

#include "platform/smtp.h"
#include "factory/resources/notifier_parts.h"

namespace mill::factory {
namespace {

bool has_line_break(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos; }

Json recipients(Fields& fields, std::string_view key, bool& templated)
{
    Json out = Json::array();
    for (const std::string& one : fields.texts(key)) {
        const bool is_template = one.find("${") != std::string::npos;
        templated = templated || is_template;
        if (!is_template)
            if (const auto read = platform::parse_mailbox(one); !read) fields.mistake(key, read.error().what);
        if (has_line_break(one)) fields.mistake(key, "has a line break");
        out.push(Json(one));
    }
    if (out.size() > 50) fields.mistake(key, "has more than 50 recipients: write to a list of the mail server");
    return out;
}

}  // namespace

Json read_mail(const Json& json, const std::string& where, Fields& top)
{
    Fields fields(json, where + ", mail");
    Json out = Json::object();
    const std::string server = fields.text("server"), tls = fields.one_of("tls", {"starttls", "tls", "insecure"}, "starttls");
    if (!server.empty())
        if (const auto read = platform::parse_mail_server(server, tls); !read) fields.mistake("server", read.error().what);
    out.set("server", Json(server)).set("tls", Json(tls));
    if (const std::string credentials = fields.text("credentials", ""); !credentials.empty()) out.set("credentials", Json(credentials));
    const std::string from = fields.text("from");
    if (!from.empty())
        if (const auto read = platform::parse_mailbox(from); !read) fields.mistake("from", read.error().what);
    out.set("from", Json(from));
    bool templated = false;
    out.set("to", recipients(fields, "to", templated));
    if (out["to"].empty()) fields.mistake("to", "is missing: who gets the mail");
    if (fields.has("cc")) out.set("cc", recipients(fields, "cc", templated));
    if (const std::string reply = fields.text("replyTo", ""); !reply.empty()) {
        if (const auto read = platform::parse_mailbox(reply); !read) fields.mistake("replyTo", read.error().what);
        out.set("replyTo", Json(reply));
    }
    Json domains = Json::array();
    for (const std::string& domain : fields.texts("domains")) {
        if (!platform::is_mail_domain(domain)) fields.mistake("domains", fmt::format("has '{}', expected a domain such as example.com", domain));
        domains.push(Json(domain));
    }
    if (templated && domains.empty()) fields.mistake("domains", "is missing: a recipient comes from the job, so say the domains that such mail may go to, or a caller would choose anybody");
    if (!domains.empty()) out.set("domains", std::move(domains));
    for (const char* member : {"subject", "text", "html"})
        if (const std::string text = fields.text(member, ""); !text.empty()) out.set(member, Json(text));
    if (has_line_break(out["subject"].as_string())) fields.mistake("subject", "has a line break");
    if (auto done = fields.done(); !done) top.mistake("mail", done.error().what);
    return out;
}

}  // namespace mill::factory
