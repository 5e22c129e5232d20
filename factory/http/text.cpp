#include "factory/http/detail/text.h"

#include <algorithm>
#include <ctime>

#include <fmt/core.h>

#include "platform/base/encode.h"
#include "platform/base/json.h"

namespace mill::factory {

std::string_view HttpCall::header(std::string_view lower_case_name) const
{
    for (const auto& [name, value] : headers)
        if (name == lower_case_name) return value;
    return {};
}

std::string_view HttpCall::query_value(std::string_view name) const
{
    for (const auto& [key, value] : query)
        if (key == name) return value;
    return {};
}

namespace detail {
namespace {

Result<std::string> decode_form(std::string_view text)
{
    std::string spaced(text);
    std::replace(spaced.begin(), spaced.end(), '+', ' ');
    return percent_decode(spaced);
}

// One a second and thread is enough: formatting it costs more than the rest of the head.
const std::string& date_line()
{
    thread_local std::time_t made = 0;
    thread_local std::string line;
    const std::time_t now = std::time(nullptr);
    if (now != made) {
        std::tm parts{};
        gmtime_r(&now, &parts);
        char text[64];
        std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
        line = text;
        made = now;
    }
    return line;
}

void append_clean(std::string& out, std::string_view value)
{
    for (const char c : value) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
}

}  // namespace

Result<Target> read_target(std::string_view text)
{
    for (const std::string_view scheme : {std::string_view("http://"), std::string_view("https://")}) {
        if (!text.starts_with(scheme)) continue;
        const std::size_t slash = text.find('/', scheme.size());
        text = slash == std::string_view::npos ? std::string_view("/") : text.substr(slash);
    }
    if (text.empty() || text.front() != '/') return fail(Errc::invalid, "the request target is not a path");
    Target out;
    const std::size_t mark = text.find('?');
    out.path = std::string(text.substr(0, mark));
    if (auto decoded = percent_decode(out.path); !decoded) return fail("the request's path", decoded.error());
    if (mark == std::string_view::npos) return out;
    std::string_view rest = text.substr(mark + 1);
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('&'), rest.size());
        const std::string_view pair = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (pair.empty()) continue;
        const std::size_t equals = std::min(pair.find('='), pair.size());
        auto name = decode_form(pair.substr(0, equals));
        auto value = decode_form(equals < pair.size() ? pair.substr(equals + 1) : std::string_view());
        if (!name || !value) return fail(Errc::invalid, "the request's query is not percent-encoded correctly");
        out.query.emplace_back(std::move(*name), std::move(*value));
    }
    return out;
}

std::string reply_head(const HttpReply& reply, Framing framing, std::size_t length, bool keep_alive, std::string_view reason)
{
    std::string head = fmt::format("HTTP/1.1 {} {}\r\n", reply.status, reason);
    head += date_line();
    const bool bodiless = reply.status == 204 || reply.status == 304 || reply.status < 200;
    if (!bodiless && !reply.content_type.empty()) {
        head += "Content-Type: ";
        append_clean(head, reply.content_type);
        head += "\r\n";
    }
    if (framing == Framing::length && !bodiless) head += fmt::format("Content-Length: {}\r\n", length);
    if (framing == Framing::chunked) head += "Transfer-Encoding: chunked\r\n";
    for (const auto& [name, value] : reply.headers) {
        append_clean(head, name);
        head += ": ";
        append_clean(head, value);
        head += "\r\n";
    }
    if (!keep_alive) head += "Connection: close\r\n";
    head += "\r\n";
    return head;
}

std::string chunk(std::string_view piece)
{
    return fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
}

HttpReply problem_reply(int status, std::string_view title, std::string_view detail)
{
    HttpReply reply;
    reply.status = status;
    reply.content_type = "application/problem+json";
    reply.body = dump_json(Json::object({{"type", "about:blank"}, {"title", title}, {"status", status}, {"detail", detail},
                                         {"code", status == 408 ? "timeout" : status == 413 || status == 431 ? "too_large" : status == 503 ? "unavailable" : status >= 500 ? "internal" : "http"}}));
    return reply;
}

}  // namespace detail
}  // namespace mill::factory
