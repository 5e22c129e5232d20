#include "cli/api.h"

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "protocol/problem.h"

namespace mill::cli {

namespace {

Errc code_of(int status)
{
    switch (status) {
    case 401:
    case 403: return Errc::denied;
    case 404:
    case 410: return Errc::not_found;
    case 409:
    case 412: return Errc::conflict;
    case 413: return Errc::too_large;
    case 408:
    case 504: return Errc::timeout;
    case 429:
    case 502:
    case 503: return Errc::unavailable;
    default: return status < 500 ? Errc::invalid : Errc::internal;
    }
}

}  // namespace

Error error_of(int status, std::string_view body, std::string_view what)
{
    std::string words;
    if (const Result<Json> problem = parse_json(body); problem && problem->is_object()) {
        words = (*problem)["detail"].as_string();
        if (words.empty()) words = (*problem)["title"].as_string();
        for (const Json& mistake : (*problem)["errors"].as_array())
            words += "\n  " + (mistake.is_string() ? mistake.as_string() : dump_json(mistake));
    }
    if (words.empty()) words = fmt::format("the factory answered {} {}", status, protocol::status_text(status));
    if (status == 401)
        words += " (401: the token is not valid here; `millwright login` stores another, `millwright doctor` says which one was used)";
    return Error{code_of(status), what.empty() ? words : fmt::format("{}: {}", what, words)};
}

const Json::Array& items(const Json& list) { return list.is_array() ? list.as_array() : list["items"].as_array(); }

std::string join_path(std::string_view base, std::string_view segment, std::string_view rest)
{
    return fmt::format("{}/{}{}", base, percent_encode(segment), rest);
}

Api::Api(std::string factory, std::string token, const std::string& ca_file, std::stop_token stop)
    : factory_(std::move(factory)), token_(std::move(token)), stop_(std::move(stop))
{
    platform::HttpOptions options;
    options.ca_file = ca_file;
    options.proxy = platform::proxy_for(factory_);
    client_ = platform::make_http_client(std::move(options));
}

Result<platform::HttpResponse> Api::raw(const Call& call)
{
    platform::HttpRequest request;
    request.method = call.method;
    request.uri = factory_ + call.path;
    char separator = '?';
    for (const auto& [name, value] : call.query) {
        if (value.empty()) continue;
        request.uri += fmt::format("{}{}={}", separator, percent_encode(name), percent_encode(value));
        separator = '&';
    }
    request.headers = call.headers;
    request.headers.emplace_back("Accept", "application/json");
    if (!token_.empty()) request.headers.emplace_back("Authorization", "Bearer " + token_);
    if (!call.bytes_type.empty()) {
        request.body = call.bytes;
        request.headers.emplace_back("Content-Type", call.bytes_type);
    } else if (!call.body.is_null()) {
        request.body = dump_json(call.body);
        request.headers.emplace_back("Content-Type", "application/json");
    }
    request.timeout = call.timeout;
    request.max_response = 64 * 1024 * 1024;
    request.repeatable = call.method == "GET" || call.method == "PUT" || call.method == "DELETE";
    Result<platform::HttpResponse> answer = client_->send(request, stop_);
    if (!answer && (answer.error().code == Errc::unavailable || answer.error().code == Errc::timeout))
        return fail(answer.error().code, fmt::format("factory {} is not reached: {} (is it running? `millwright doctor` looks closer)",
                                                     factory_, answer.error().what));
    return answer;
}

Result<Json> Api::send(const Call& call)
{
    Result<platform::HttpResponse> answer = raw(call);
    if (!answer) return fail(answer.error());
    if (answer->status >= 400) return fail(error_of(answer->status, answer->body, {}));
    if (answer->body.empty()) return Json();
    Result<Json> json = parse_json(answer->body, {.bytes = 64 * 1024 * 1024});
    if (!json)
        return fail(Errc::corrupt, fmt::format("{} {} did not answer JSON (is {} a factory?): {}", call.method, call.path, factory_,
                                               json.error().what));
    return json;
}

Result<Json> Api::get(const std::string& path, Pairs query) { return send({.path = path, .query = std::move(query)}); }
Result<Json> Api::post(const std::string& path, Json body, Pairs query)
{
    return send({.method = "POST", .path = path, .query = std::move(query), .body = std::move(body)});
}
Result<Json> Api::put(const std::string& path, Json body, Pairs query)
{
    return send({.method = "PUT", .path = path, .query = std::move(query), .body = std::move(body)});
}

}  // namespace mill::cli
