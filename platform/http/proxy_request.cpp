#include "platform/proxy_request.h"

#include <limits>
#include <set>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <fmt/format.h>

#include "platform/base/text.h"

namespace mill::platform {
namespace {

namespace http = boost::beast::http;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

tl::unexpected<Error> wrong(std::string_view what) { return fail(Errc::invalid, std::string(what)); }

/// host:port, and nothing else.
Result<Uri> parse_authority(std::string_view text)
{
    const auto colon = text.rfind(':');
    const std::string_view port = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos || text.find_first_of("/?#@\\%") != std::string_view::npos)
        return fail(Errc::invalid, fmt::format("CONNECT is followed by HOST:PORT, not '{}'", text.substr(0, 200)));
    return parse_uri(fmt::format("https://{}", text));
}

/// What is between this client and this proxy only, and what we say ourselves.
bool is_ours(const std::string& name)
{
    static const std::set<std::string_view> kOurs = {"connection", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length"};
    return kOurs.contains(name) || name.starts_with("proxy-");
}

std::set<std::string> named_in(std::string_view list)
{
    std::set<std::string> out;
    while (!list.empty()) {
        const auto comma = list.find(',');
        std::string_view item = list.substr(0, comma);
        while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
        while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
        out.insert(lower_case(item));
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    }
    return out;
}

template <class Message> Result<ProxyRequest> plain(const Message& message)
{
    ProxyRequest out;
    auto uri = parse_uri(view(message.target()));
    if (!uri) return wrong(uri.error().what);
    if (uri->scheme != "http") return wrong("only http:// is asked for in plain; for https:// a proxy is asked with CONNECT");
    out.target = std::move(*uri);
    std::set<std::string> dropped;
    std::size_t lengths = 0;
    for (const auto& field : message) {
        const std::string name = lower_case(view(field.name_string()));
        if (name == "connection") dropped.merge(named_in(view(field.value())));
        if (name == "transfer-encoding")
            return fail(Errc::conflict, "a body without a length is not passed on: send it with Content-Length, or ask for https://");
        lengths += name == "content-length" ? 1 : 0;
    }
    if (lengths > 1) return wrong("it has two lengths");
    out.head = fmt::format("{} {}{}{} HTTP/1.1\r\nHost: {}\r\n", view(message.method_string()), out.target.path, out.target.query.empty() ? "" : "?", out.target.query, out.target.authority());
    for (const auto& field : message) {
        const std::string name = lower_case(view(field.name_string()));
        if (!is_ours(name) && !dropped.contains(name)) out.head += fmt::format("{}: {}\r\n", view(field.name_string()), view(field.value()));
    }
    return out;
}

}  // namespace

std::size_t end_of_head(std::string_view bytes)
{
    const auto end = bytes.substr(0, ProxyRequest::kMaxHead + 1).find("\r\n\r\n");
    return end == std::string_view::npos ? 0 : end + 4;
}

Result<ProxyRequest> parse_proxy_request(std::string_view head)
{
    if (head.size() > ProxyRequest::kMaxHead) return fail(Errc::too_large, fmt::format("the head of the request has more than {} bytes", ProxyRequest::kMaxHead));
    http::request_parser<http::empty_body> parser;
    parser.header_limit(ProxyRequest::kMaxHead);
    parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // it is passed on, not kept
    boost::beast::error_code error;
    parser.put(boost::asio::const_buffer(head.data(), head.size()), error);
    // A body that is not read here is no mistake.
    if (error && error != http::error::need_more && error != http::error::unexpected_body) return wrong(error.message());
    if (!parser.is_header_done()) return wrong("it is no whole head of a request");
    const auto& message = parser.get();
    if (message.version() != 10 && message.version() != 11) return wrong("it is not HTTP/1.0 or HTTP/1.1");
    if (message.method() == http::verb::connect) {
        auto target = parse_authority(view(message.target()));
        if (!target) return fail(target.error());
        ProxyRequest out;
        out.tunnel = true;
        out.target = std::move(*target);
        return out;
    }
    if (message.method() == http::verb::trace) return wrong("TRACE is not passed on");
    auto out = plain(message);
    if (!out) return out;
    out->body = parser.content_length() ? *parser.content_length() : 0;
    if (parser.content_length()) out->head += fmt::format("Content-Length: {}\r\n", out->body);
    out->head += "Connection: close\r\n\r\n";
    return out;
}

}  // namespace mill::platform
