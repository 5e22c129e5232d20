#include "agent/broker/effects.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include <fmt/core.h>

#include "agent/broker/credentials.h"
#include "agent/broker/exchange.h"
#include "agent/broker/file_operations.h"
#include "agent/broker/login.h"
#include "agent/broker/verdict.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/base/text.h"

namespace mill::broker {
namespace {

constexpr std::size_t kMaxHeaders = 100;
constexpr std::size_t kMaxHeaderBytes = 32 * 1024;
constexpr std::size_t kMaxUri = 16 * 1024;
constexpr std::size_t kMaxRequestBody = 8 * 1024 * 1024;
constexpr std::size_t kMaxResponseBody = 8 * 1024 * 1024;

bool is_token(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) || std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
    });
}

/// The connection's own headers are the client's business.
bool is_reserved(std::string_view name)
{
    for (std::string_view reserved : {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect",
                                      "keep-alive", "proxy-authorization", "proxy-connection"})
        if (name == reserved) return true;
    return false;
}

std::string scalar(const Json& value) { return value.is_string() ? value.as_string() : dump_json(value); }

void read_headers(Fields& fields, platform::HttpRequest& request)
{
    const Json headers = fields.object("headers", Json::object());
    std::size_t bytes = 0;
    for (const auto& [name, value] : headers.as_object()) {
        const std::string text = scalar(value);
        bytes += name.size() + text.size();
        if (!is_token(name) || !is_header_value(text) || value.is_array() || value.is_object())
            fields.mistake("headers", fmt::format("holds '{}', which is no HTTP header", name.substr(0, 100)));
        else if (is_reserved(lower_case(name)))
            fields.mistake("headers", fmt::format("sets '{}', which the connection sets itself", name));
        else
            request.headers.emplace_back(name, text);
    }
    if (headers.size() > kMaxHeaders || bytes > kMaxHeaderBytes)
        fields.mistake("headers", fmt::format("are more than {} or longer than {} bytes", kMaxHeaders, kMaxHeaderBytes));
}

bool has_header(const platform::HttpRequest& request, std::string_view lower_case_name)
{
    return std::any_of(request.headers.begin(), request.headers.end(), [&](const auto& header) { return lower_case(header.first) == lower_case_name; });
}

Outcome<Asked> read_request(const Json& with)
{
    Fields fields(with, "http.request");
    Asked out;
    platform::HttpRequest& request = out.request;
    request.method = fields.text("method", "GET");
    std::transform(request.method.begin(), request.method.end(), request.method.begin(), [](unsigned char c) { return std::toupper(c); });
    if (!is_token(request.method) || request.method.size() > 20 || request.method == "CONNECT" || request.method == "TRACE")
        fields.mistake("method", "is no method that can be asked for");
    request.uri = fields.text("uri");
    const Json query = fields.object("query", Json::object());
    for (const auto& [name, value] : query.as_object()) {
        const Json::Array items = value.is_array() ? value.as_array() : Json::Array{value};
        for (const Json& item : items) {
            request.uri += request.uri.find('?') == std::string::npos ? '?' : '&';
            request.uri += percent_encode(name) + "=" + percent_encode(scalar(item));
        }
    }
    if (request.uri.size() > kMaxUri) fields.mistake("uri", fmt::format("is longer than {} bytes", kMaxUri));
    auto uri = platform::parse_uri(request.uri);
    if (!uri) fields.mistake("uri", uri.error().what);
    else out.uri = std::move(*uri);
    read_headers(fields, request);
    if (fields.has("bodyText")) {
        request.body = fields.text("bodyText");
        if (with.contains("body")) fields.mistake("body", "stands beside bodyText: say one of them");
    } else if (fields.has("body")) {
        request.body = dump_json(fields.any("body", Json()));
        if (!has_header(request, "content-type")) request.headers.emplace_back("Content-Type", "application/json");
    }
    if (request.body.size() > kMaxRequestBody) fields.mistake("body", fmt::format("has more than {} bytes", kMaxRequestBody));
    fields.boolean("redirect", false);  // redirects are asked for one by one: each is checked like the first
    request.max_response = kMaxResponseBody;
    if (auto ok = fields.done(); !ok) return tl::unexpected(effect_error(ok.error(), "Bad request"));
    return out;
}

/// Text of the old Western charset, which many a business system still answers in, as UTF-8.
std::optional<std::string> from_latin1(const platform::HttpResponse& response)
{
    const std::string type = lower_case(response.header("content-type"));
    if (type.find("charset=iso-8859-1") == std::string::npos && type.find("charset=latin1") == std::string::npos) return std::nullopt;
    std::string out;
    for (const char c : response.body) {
        const auto code = static_cast<unsigned char>(c);
        if (code >= 0x80) out += static_cast<char>(0xC0 | code >> 6);
        out += code < 0x80 ? c : static_cast<char>(0x80 | (code & 0x3F));
    }
    return out;
}

/// Secrets are masked in the bytes, whether they go on as text or as base64.
Json result_of(platform::HttpResponse response, const std::string& uri, const Redactor& redactor, std::size_t& masked)
{
    Json headers = Json::object();
    for (const auto& [name, value] : response.headers) {
        const std::string shown = redactor.apply(value, masked);
        const Json* present = headers.find(name);
        headers.set(name, present == nullptr ? shown : present->as_string() + ", " + shown);
    }
    Json result = Json::object({{"status", response.status}, {"headers", std::move(headers)}});
    if (auto text = from_latin1(response)) response.body = std::move(*text);
    const bool text = is_utf8(response.body);
    if (!redactor.empty()) response.body = redactor.apply(response.body, masked);
    if (text) result.set("text", std::move(response.body));
    else result.set("base64", to_base64(response.body));
    return result.set("uri", redactor.apply(uri, masked));
}

}  // namespace

Outcome<Json> http_request(const Json& given, EffectContext& context)
{
    const Json* authentication = given.find("authentication");
    auto login = read_login(authentication == nullptr ? Json() : *authentication, context.grants);
    if (!login) return tl::unexpected(login.error());
    Json with = given;
    with.erase("authentication");
    std::set<std::string> used;  // credentials
    if (holds_handle(with)) {
        auto filled = fill_handles(with, context.grants, used);
        if (!filled) return tl::unexpected(filled.error());
        with = std::move(*filled);
    }
    auto asked = read_request(with);
    if (!asked) return tl::unexpected(asked.error());
    for (const std::string& name : used) {
        if (auto allowed = may_connect(context.grants.permissions, asked->uri); !allowed) return tl::unexpected(allowed.error());
        if (auto allowed = may_go_to(name, context.grants, asked->uri); !allowed) return tl::unexpected(allowed.error());
    }
    const std::string uri = asked->request.uri;
    Redactor redactor = context.grants.redactor;
    context.clients.logins().mask(redactor);
    auto response = log_in_and_send(*login, std::move(*asked), context, redactor);
    if (!response) {
        response.error().detail = redactor.apply(response.error().detail, context.masked);
        return tl::unexpected(std::move(response.error()));
    }
    return result_of(std::move(*response), uri, redactor, context.masked);
}

}  // namespace mill::broker
