#include <array>
#include <charconv>
#include <ctime>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/crypto.h"
#include "platform/smtp.h"

namespace mill::platform {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool is_ascii(std::string_view text)
{
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x80) return false;
    return true;
}

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::string one_line_of(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        if (is_control(c)) c = ' ';
    return out;
}

bool is_address(std::string_view text)
{
    constexpr std::string_view kAtom = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~.";
    const auto at = text.rfind('@');
    if (at == std::string_view::npos || at == 0 || at > 64) return false;
    const std::string_view local = text.substr(0, at);
    return local.find_first_not_of(kAtom) == std::string_view::npos && local.front() != '.' && local.back() != '.' && local.find("..") == std::string_view::npos &&
           is_mail_domain(text.substr(at + 1));
}

/// Words of RFC 2047, none above 75 bytes and none within a character, one on each line.
std::string encoded_words(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        std::size_t size = std::min<std::size_t>(text.size(), out.empty() ? 36 : 45);   // the header's name stands before the first
        while (size > 1 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
        out += fmt::format("{}=?UTF-8?B?{}?=", out.empty() ? "" : "\r\n ", to_base64(text.substr(0, size)));
        text.remove_prefix(size);
    }
    return out;
}

std::string header_text(std::string_view value)
{
    const std::string text = one_line_of(value);
    if (is_ascii(text) && text.size() <= 66 && text.find("=?") == std::string::npos) return text;
    return encoded_words(text);
}

std::string mailbox_text(const Mailbox& mailbox)
{
    if (mailbox.name.empty()) return mailbox.address;
    const std::string name = one_line_of(mailbox.name);
    if (!is_ascii(name) || name.size() > 60 || name.find("=?") != std::string::npos) return fmt::format("{}\r\n <{}>", encoded_words(name), mailbox.address);
    std::string quoted;
    for (const char c : name) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return fmt::format("\"{}\" <{}>", quoted, mailbox.address);
}

std::string mailboxes_text(const std::vector<Mailbox>& all)
{
    std::string out;
    for (const Mailbox& one : all) out += (out.empty() ? "" : ",\r\n ") + mailbox_text(one);
    return out;
}

std::string quoted_printable(std::string_view text)
{
    std::string out;
    std::size_t column = 0;
    const auto put = [&](const std::string& piece) {
        if (column + piece.size() > 75) {
            out += "=\r\n";
            column = 0;
        }
        out += piece;
        column += piece.size();
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
        if (c == '\n' || c == '\r') {
            out += "\r\n";
            column = 0;
            continue;
        }
        const bool line_ends = i + 1 >= text.size() || text[i + 1] == '\n' || text[i + 1] == '\r';
        const bool plain = (c >= 0x21 && c <= 0x7e && c != '=') || ((c == ' ' || c == '\t') && !line_ends);
        put(plain ? std::string(1, c) : fmt::format("={:02X}", static_cast<unsigned char>(c)));
    }
    return out + "\r\n";
}

std::string part(std::string_view type, std::string_view text)
{
    return fmt::format("Content-Type: {}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}", type, quoted_printable(text));
}

/// In English whatever the locale (RFC 5322).
std::string date_text(std::int64_t seconds)
{
    static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto time = static_cast<std::time_t>(seconds);
    std::tm at{};
    gmtime_r(&time, &at);
    return fmt::format("{}, {} {} {:04} {:02}:{:02}:{:02} +0000", kDays.at(static_cast<std::size_t>(at.tm_wday)), at.tm_mday, kMonths.at(static_cast<std::size_t>(at.tm_mon)),
                       at.tm_year + 1900, at.tm_hour, at.tm_min, at.tm_sec);
}

}  // namespace

bool is_mail_domain(std::string_view text)
{
    if (text.empty() || text.size() > 253) return false;
    while (!text.empty()) {
        const std::string_view label = text.substr(0, text.find('.'));
        if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
        for (const char c : label)
            if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-')) return false;
        if (label.size() == text.size()) return true;
        text.remove_prefix(label.size() + 1);
    }
    return false;
}

Result<Mailbox> parse_mailbox(std::string_view whole)
{
    const auto wrong = [&](std::string_view why) { return fail(Errc::invalid, fmt::format("'{}' is no mail address{}; write ann@example.com or Ann Doe <ann@example.com>", one_line_of(whole.substr(0, 200)), why)); };
    if (whole.size() > 400) return wrong(", being too long");
    for (const char c : whole)
        if (is_control(c)) return wrong(": it has a control character or line break");
    std::string_view text = trimmed(whole);
    Mailbox out;
    if (text.ends_with('>')) {
        const auto open = text.rfind('<');
        if (open == std::string_view::npos) return wrong("");
        out.address = std::string(text.substr(open + 1, text.size() - open - 2));
        std::string_view name = trimmed(text.substr(0, open));
        if (name.size() >= 2 && name.front() == '"' && name.back() == '"') name = name.substr(1, name.size() - 2);
        else if (name.find_first_of(",;<>@") != std::string_view::npos) return wrong(": one address only, and a name with , or @ stands in quotes");
        out.name = std::string(name);
    } else {
        out.address = std::string(text);
    }
    if (!is_ascii(out.address)) return wrong(": beyond ASCII a domain is written as xn--…, and a name before the @ cannot be");
    if (!is_address(out.address)) return wrong("");
    return out;
}

Result<MailServer> parse_mail_server(std::string_view text, std::string_view tls)
{
    MailServer out;
    out.tls = tls == "tls" ? MailServer::Tls::from_start : tls == "insecure" ? MailServer::Tls::none : MailServer::Tls::starttls;
    out.port = tls == "tls" ? 465 : tls == "insecure" ? 25 : 587;
    const auto wrong = [&] { return fail(Errc::invalid, fmt::format("'{}' is no mail server; write mail.example.com or mail.example.com:587", one_line_of(text.substr(0, 200)))); };
    const auto colon = text.rfind(':');
    out.host = std::string(text.substr(0, colon));
    for (char& c : out.host)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (!is_mail_domain(out.host)) return wrong();
    if (colon == std::string_view::npos) return out;
    const std::string_view port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (error != std::errc() || end != port.data() + port.size() || out.port == 0) return wrong();
    return out;
}

std::string mail_text(const MailMessage& message)
{
    std::string out = fmt::format("Date: {}\r\nFrom: {}\r\n", date_text(message.date), mailbox_text(message.from));
    if (!message.to.empty()) out += fmt::format("To: {}\r\n", mailboxes_text(message.to));
    if (!message.cc.empty()) out += fmt::format("Cc: {}\r\n", mailboxes_text(message.cc));
    if (!message.reply_to.address.empty()) out += fmt::format("Reply-To: {}\r\n", mailbox_text(message.reply_to));
    out += fmt::format("Subject: {}\r\nMessage-ID: <{}>\r\n", header_text(message.subject), one_line_of(message.id));
    if (!message.references.empty()) out += fmt::format("References: <{}>\r\n", one_line_of(message.references));
    out += "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n";
    if (message.html.empty()) return out + part("text/plain", message.text);
    const std::string boundary = "mw-" + to_hex(sha256(message.id)).substr(0, 40);
    return out + fmt::format("Content-Type: multipart/alternative;\r\n boundary=\"{0}\"\r\n\r\n--{0}\r\n{1}--{0}\r\n{2}--{0}--\r\n", boundary, part("text/plain", message.text),
                             part("text/html", message.html));
}

}  // namespace mill::platform
