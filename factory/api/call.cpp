#include "factory/api/call.h"

#include <charconv>

#include <fmt/format.h>

#include "factory/api/service.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"
#include "platform/base/text.h"
#include "protocol/problem.h"

namespace mill::factory {

const std::string& Call::operator[](std::string_view name) const
{
    static const std::string none;
    const auto found = path.find(name);
    return found == path.end() ? none : found->second;
}

void reply(const Call& call, int status, const Json& body, std::vector<std::pair<std::string, std::string>> headers)
{
    HttpReply out;
    out.status = status;
    out.headers = std::move(headers);
    out.body = dump_json(body);
    call.responder.reply(std::move(out));
}

void reply_empty(const Call& call)
{
    HttpReply out;
    out.status = 204;
    out.content_type.clear();
    call.responder.reply(std::move(out));
}

void reply_unchanged(const Call& call, const std::string& etag)
{
    HttpReply out;
    out.status = 304;
    out.content_type.clear();
    out.headers = {{"ETag", etag}};
    call.responder.reply(std::move(out));
}

/// What a problem without a name of its own is called. Callers rely on it: docs/api.md lists them.
std::string_view problem_code(int status)
{
    switch (status) {
    case 400: return "invalid";
    case 401: return "unauthorized";
    case 403: return "forbidden";
    case 404: return "not_found";
    case 405: return "method";
    case 409: return "conflict";
    case 412: return "changed";
    case 413: return "too_large";
    case 415: return "content_type";
    case 422: return "unprocessable";
    case 429: return "too_many";
    case 501: return "not_implemented";
    case 503: return "unavailable";
    case 504: return "timeout";
    default: return status < 500 ? "refused" : "internal";
    }
}

void reply_problem(const Call& call, int status, std::string_view detail, std::string_view name, const Json& more,
                   std::vector<std::pair<std::string, std::string>> headers)
{
    if (status == 401 && call.service != nullptr)
        if (const auto wait = call.service->limits.failure(call.http.remote)) return reply_too_many(call, "calls without a valid token from this address", *wait);
    HttpReply out;
    out.status = status;
    out.headers = std::move(headers);
    out.content_type = "application/problem+json";
    const std::string shown = redacted(detail);
    if (call.told) {
        if (status >= 500) log::warning("api", "{} {}: {} {}", call.http.method, call.http.path, status, shown);
        HttpReply form = call.told(status, shown, name);
        for (auto& header : out.headers) form.headers.push_back(std::move(header));
        return call.responder.reply(std::move(form));
    }
    Json body = protocol::problem(status, shown, name);
    body.set("code", Json(name.empty() ? problem_code(status) : name));
    for (const auto& [key, value] : more.as_object()) body.set(key, value);
    if (call.sap) {
        const std::string correlation = new_uid();
        body.set("error", Json::object({{"status", status}, {"code", fmt::format("MILL_{}", name.empty() ? std::to_string(status) : std::string(name))},
                                        {"severity", "error"}, {"message", shown}, {"correlationId", correlation}, {"detailsType", "caused-by"},
                                        {"details", Json::array({Json::object({{"message", shown}})})}}));
        log::info("api", "{} {}: {} {} (correlation {})", call.http.method, call.http.path, status, shown, correlation);
    }
    if (status >= 500) log::warning("api", "{} {}: {} {}", call.http.method, call.http.path, status, shown);
    out.body = dump_json(body);
    call.responder.reply(std::move(out));
}

void reply_too_many(const Call& call, std::string_view what, Milliseconds wait)
{
    if (call.service != nullptr) ++call.service->limited;
    const auto seconds = (wait.count() + 999) / 1000;
    reply_problem(call, 429, fmt::format("too many {}: the next may come in {} s (limits: in the factory's configuration)", what, seconds), "too_many", {}, {{"Retry-After", std::to_string(seconds)}});
}

void reply_error(const Call& call, const Error& error)
{
    reply_problem(call, protocol::status_of(error.code), error.what);
}

namespace {

bool is_json_type(std::string_view type)
{
    type = type.substr(0, type.find(';'));
    while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
    const std::string lower = lower_case(type);
    return lower == "application/json" || lower == "text/json" || (lower.starts_with("application/") && lower.ends_with("+json"));
}

}  // namespace

std::optional<Json> read_json(const Call& call, bool may_be_empty, std::size_t depth)
{
    if (call.http.body.empty() && may_be_empty) return Json::object();
    if (const auto type = call.http.header("content-type"); !is_json_type(type)) {
        reply_problem(call, 415, type.empty() ? "the request has no Content-Type; expected application/json"
                                              : fmt::format("Content-Type is '{}', expected application/json", type));
        return std::nullopt;
    }
    auto json = parse_json(call.http.body, {.bytes = call.http.body.size(), .depth = depth, .exact = true});
    if (!json) {
        const bool deep = json.error().code == Errc::too_large;
        reply_problem(call, deep ? 413 : 400, fmt::format("the body is not acceptable JSON: {}", json.error().what), deep ? "too_large" : "broken_json");
        return std::nullopt;
    }
    return std::move(*json);
}

Result<std::int64_t> number_of(const Call& call, std::string_view name, std::int64_t min, std::int64_t max, std::int64_t fallback)
{
    const std::string_view text = call.http.query_value(name);
    if (text.empty()) return fallback;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < min || value > max)
        return fail(Errc::invalid, fmt::format("query '{}' must be a whole number from {} to {}; found '{}'", name, min, max, text));
    return value;
}

Result<std::size_t> limit_of(const Call& call, std::size_t fallback)
{
    auto value = number_of(call, "limit", 1, 1000, static_cast<std::int64_t>(fallback));
    if (!value) return fail(std::move(value.error()));
    return static_cast<std::size_t>(*value);
}

bool flag_of(const Call& call, std::string_view name)
{
    const auto value = call.http.query_value(name);
    return value == "true" || value == "1" || value == "yes";
}

}  // namespace mill::factory
