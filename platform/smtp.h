// platform/smtp.h -- a mail as text (RFC 5322, 2045, 2047) and its way to a mail server (RFC 5321; libcurl behind it).
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/result.h"

namespace mill::platform {

struct Mailbox {
    std::string name;      ///< as people read it, UTF-8; may be empty
    std::string address;   ///< local@domain, ASCII
};
/// "robots@example.com", "Millwright <robots@example.com>" or "\"Doe, Ann\" <ann@example.com>". Errors: invalid (control characters,
/// more than one address, an address that is not ASCII).
Result<Mailbox> parse_mailbox(std::string_view text);
bool is_mail_domain(std::string_view text);

struct MailServer {
    std::string host;
    std::uint16_t port = 587;
    enum class Tls { starttls, from_start, none } tls = Tls::starttls;   ///< starttls: required, never "if it can"
};
/// HOST or HOST:PORT; `tls`: starttls (port 587 when none is said), tls (465), insecure (25). Errors: invalid.
Result<MailServer> parse_mail_server(std::string_view text, std::string_view tls);

struct MailMessage {
    Mailbox from;
    std::vector<Mailbox> to, cc;
    Mailbox reply_to;            ///< its address is empty: none
    std::string subject, text, html;   ///< UTF-8; html may be empty
    std::string id, references;  ///< without angle brackets; references may be empty
    std::int64_t date = 0;       ///< seconds since 1970
};
/// With CRLF, every line below 998 bytes, ASCII only. Whatever stands in the values makes no further header: control characters in them become
/// spaces. Pure.
std::string mail_text(const MailMessage& message);

struct MailRequest {
    MailServer server;
    std::string pinned_address;         ///< connect there, whatever the host resolves to
    std::string ca_file;                ///< PEM, beside the system's authorities
    std::string username, password;     ///< empty: none
    std::string from;                   ///< addresses
    std::vector<std::string> recipients;
    std::string text;                   ///< of mail_text
    std::chrono::milliseconds timeout{30'000};
};
struct MailAnswer {
    int status = 0;        ///< of RFC 5321: 250, 451, 550, …
    std::string text;      ///< the server's last answer, as it said it
};
/// What the server said last is an answer, whatever it said. Errors: unavailable (no connection), timeout, cancelled, denied (TLS: refused,
/// not offered, or its certificate). Blocks: up to the timeout. Thread: any.
Result<MailAnswer> send_mail(const MailRequest& request, std::stop_token stop = {});

}  // namespace mill::platform
