// An attempt to hand a mail to its server.
#include <fmt/format.h>

#include "factory/notify/exchange.h"
#include "platform/smtp.h"

namespace mill::factory {
namespace {

/// RFC 5321, 4.2.1: 4xx may go better later. So may what somebody can mend: the server refuses the credential, or wants one.
bool is_final_answer(int status) { return status >= 500 && status != 530 && status != 534 && status != 535 && status != 538; }

std::vector<platform::Mailbox> mailboxes(const Json& list)
{
    std::vector<platform::Mailbox> out;
    for (const Json& one : list.as_array())
        if (auto read = platform::parse_mailbox(one.as_string())) out.push_back(std::move(*read));
    return out;
}

}  // namespace

void Deliverer::send_mail(Exchange& exchange)
{
    using enum DeliveryOutcome::Verdict;
    const Json& rendered = exchange.request;
    const auto server = platform::parse_mail_server(rendered["server"].as_string(), rendered["tls"].as_string());
    if (!server) return exchange.refuse(give_up, server.error().what);
    const auto from = platform::parse_mailbox(rendered["from"].as_string());
    if (!from) return exchange.refuse(give_up, from.error().what);
    const platform::Uri uri{.scheme = server->tls == platform::MailServer::Tls::from_start ? "smtps" : "smtp", .host = server->host, .path = "/", .query = {}, .port = server->port};
    platform::MailMessage message;
    message.from = *from;
    message.to = mailboxes(rendered["to"]);
    message.cc = mailboxes(rendered["cc"]);
    if (const std::string& reply = rendered["replyTo"].as_string(); !reply.empty())
        if (auto read = platform::parse_mailbox(reply)) message.reply_to = std::move(*read);
    message.subject = rendered["subject"].as_string();
    message.text = rendered["body"].as_string();
    message.html = rendered["html"].as_string();
    const std::string domain = from->address.substr(from->address.rfind('@') + 1);
    message.id = exchange.id + "@" + domain;
    if (const std::string& about = rendered["about"].as_string(); !about.empty()) message.references = about + "@" + domain;
    message.date = parse_time(rendered["date"].as_string()).value_or(clock_.now()).microseconds / 1'000'000;
    platform::MailRequest request{.server = *server, .pinned_address = {}, .ca_file = egress_.ca_file(), .username = {}, .password = {}, .from = from->address, .recipients = {},
                                  .text = platform::mail_text(message), .timeout = options_.timeout};
    for (const auto* list : {&message.to, &message.cc})
        for (const platform::Mailbox& one : *list) request.recipients.push_back(one.address);
    if (const std::string& name = rendered["credentials"].as_string(); !name.empty()) {
        const auto credential = use(exchange, name, uri);
        if (!credential) return exchange.refuse(retry, credential.error().what);
        request.username = credential->values["username"].as_string();
        request.password = credential->values["password"].as_string();
    }
    auto address = egress_.choose_address(uri);
    if (!address) return exchange.refuse(retry, address.error().what);
    if (server->tls == platform::MailServer::Tls::none && platform::reach_of(*address) != platform::Reach::here)
        return exchange.refuse(give_up, fmt::format("{} is the address {}: without TLS (`tls: insecure`) mail goes to loopback only", server->host, *address));
    request.pinned_address = std::move(*address);

    Json headers = rendered["headers"];
    headers.set("Message-ID", Json("<" + message.id + ">"));
    exchange.outcome.attempt.request = Json::object({{"method", "MAIL"}, {"url", rendered["url"]}, {"headers", std::move(headers)}, {"body", cut(exchange.redactor.apply(message.text))}});
    const auto answer = platform::send_mail(request, exchange.stop);
    if (!answer) return exchange.refuse(retry, answer.error().what);
    exchange.outcome.attempt.status = answer->status;
    exchange.outcome.attempt.response = cut(exchange.redactor.apply(answer->text));
    if (answer->status >= 200 && answer->status < 300) {
        exchange.outcome.verdict = delivered;
        return;
    }
    exchange.refuse(is_final_answer(answer->status) ? give_up : retry, fmt::format("{} answered {}", rendered["url"].as_string(), answer->text));
}

}  // namespace mill::factory
