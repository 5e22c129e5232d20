#include <algorithm>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/text.h"
#include "workflows/engine.h"
#include "workflows/openapi.h"
#include "workflows/uri.h"

namespace mill::workflows {
namespace {

std::string scalar(const Json& value) { return value.is_string() ? value.as_string() : dump_json(value); }

/// Names become text; null members are left out.
Json texts(const Json& object)
{
    Json out = Json::object();
    for (const auto& [key, value] : object.as_object()) {
        if (value.is_null()) continue;
        if (value.is_array()) {
            Json items = Json::array();
            for (const Json& item : value.as_array()) items.push(scalar(item));
            out.set(key, std::move(items));
        } else {
            out.set(key, scalar(value));
        }
    }
    return out;
}

std::string header(const Json& headers, std::string_view name)
{
    for (const auto& [key, value] : headers.as_object())
        if (lower_case(key) == name) return value.is_array() ? scalar(value[std::size_t{0}]) : scalar(value);
    return {};
}

bool is_json(const std::string& type)
{
    const std::string media = lower_case(type.substr(0, type.find(';')));
    return media.find("application/json") != std::string::npos || media.find("+json") != std::string::npos;
}

/// What the response holds, by its media type. Errors: invalid (says JSON and is none).
Result<Json> content_of(const Json& answer)
{
    if (answer.contains("base64")) return answer["base64"];
    const std::string& text = answer["text"].as_string();
    if (!is_json(header(answer["headers"], "content-type"))) return text.empty() ? Json() : Json(text);
    if (text.empty()) return Json();
    return parse_json(text, {.exact = true});
}

/// $authorization. What the workflow cannot see stays unseen: a handle is a handle, all else is masked.
Json authorization_of(const Json& login)
{
    if (login.empty()) return Json();
    const auto& [scheme, values] = *login.as_object().begin();
    const std::string shown = scheme == "basic" ? "Basic" : scheme == "digest" ? "Digest" : scheme == "use" ? "" : "Bearer";
    const bool bearer = scheme == "bearer" && values["token"].is_string();
    return Json::object({{"scheme", shown.empty() ? Json() : Json(shown)}, {"parameter", bearer ? values["token"] : Json("***")}});
}

}  // namespace

/// What came back, by the output that was asked for.
Outcome Engine::http_answer(const Task& what, Frame& frame)
{
    const Json answer = frame.answer.json();
    const std::int64_t status = answer["status"].as_integer();
    const std::string output = frame.request["output"].as_string();
    if (status < 200 || status >= (frame.request["accept3xx"].as_bool() ? 400 : 300)) {
        const std::string target = status >= 300 && status < 400 ? header(answer["headers"], "location") : "";
        const std::string more = target.empty() ? answer["text"].as_string().substr(0, 300)
                                                : fmt::format("it redirects to {}; redirects are not followed, `redirect: true` makes them an output", target.substr(0, 300));
        Fault fault = make_fault(ErrorType::communication, fmt::format("{} {} answered {}: {}", frame.request["method"].as_string(), frame.request["uri"].as_string(), status, more),
                                 what.pointer);
        fault.status = static_cast<int>(status);
        return Outcome::failed(std::move(fault));
    }
    if (output == "raw") return Outcome::done(Value(answer.contains("base64") ? answer["base64"] : Json(to_base64(answer["text"].as_string()))));
    Result<Json> content = content_of(answer);
    if (!content) return Outcome::failed(make_fault(ErrorType::communication, fmt::format("the answer says it is JSON, but cannot be read as such: {}", content.error().what), what.pointer));
    if (output != "response") return Outcome::done(Value(std::move(*content)));
    return Outcome::done(Value(Json::object({{"request", Json::object({{"method", frame.request["method"]}, {"uri", frame.request["uri"]}, {"headers", frame.request["headers"]}})},
                                             {"headers", answer["headers"]},
                                             {"statusCode", status},
                                             {"content", std::move(*content)}})));
}

/// Sends `request`, after putting the authentication in; `with` has the task's output and redirect.
Outcome Engine::http_send(Branch& branch, Frame& frame, Json request, Json login, const Json& with)
{
    request.set("redirect", false);
    Json authorization;
    if (!login.is_null()) {
        if (const Json* use = login.find("use"); use != nullptr) {
            const auto& known = document(branch).authentications;
            if (const auto found = known.find(use->as_string()); found != known.end()) {
                OrFault<Value> named = fill(branch, frame, found->second, frame.input);
                if (!named) return Outcome::failed(std::move(named.error()));
                login = named->json();
            }
        }
        authorization = authorization_of(login);
        request.set("authentication", std::move(login));
    }
    frame.request = Json::object({{"method", request["method"]}, {"uri", request["uri"]}, {"headers", request["headers"]},
                                  {"output", with["output"].is_null() ? Json("content") : with["output"]},
                                  {"accept3xx", with["redirect"].as_bool()}, {"authorization", std::move(authorization)}});
    return ask(branch, frame, "http.request", std::move(request));
}

Outcome Engine::run_http(Branch& branch, Frame& frame)
{
    const Task& what = task(branch, frame);
    const auto wrong = [&](ErrorType type, std::string why) { return Outcome::failed(make_fault(type, std::move(why), what.pointer)); };
    if (frame.stage == Frame::Stage::resumed) return http_answer(what, frame);
    OrFault<Value> filled = fill(branch, frame, what.body, frame.input);
    if (!filled) return Outcome::failed(std::move(filled.error()));
    const Json with = filled->json();
    const Json& endpoint = with["endpoint"];
    if (what.endpoint_is_expression && !endpoint.is_string())
        return wrong(ErrorType::expression, fmt::format("the expression of 'endpoint' must give a text, not {}", endpoint.kind_name()));
    const std::string written = endpoint.is_string() ? endpoint.as_string() : endpoint["uri"].as_string();
    Result<std::string> uri = expand_uri(written, frame.input.json());
    if (!uri) return wrong(ErrorType::expression, uri.error().what);
    if (!uri->starts_with("http://") && !uri->starts_with("https://"))
        return wrong(ErrorType::configuration, fmt::format("'{}' is no http or https address", uri->substr(0, 100)));
    Json request = Json::object({{"method", upper_case(with["method"].as_string())}, {"uri", *uri}, {"headers", texts(with["headers"])}, {"query", texts(with["query"])}});
    if (const Json* body = with.find("body"); body != nullptr && !body->is_null()) {
        const std::string type = header(with["headers"], "content-type");
        if (body->is_string() && !is_json(type)) request.set("bodyText", *body);
        else request.set("body", *body);
    }
    return http_send(branch, frame, std::move(request), endpoint["authentication"], with);
}

/// First the document (of the package, or fetched once a run), then the operation's request.
Outcome Engine::run_openapi(Branch& branch, Frame& frame)
{
    const Task& what = task(branch, frame);
    const auto wrong = [&](ErrorType type, std::string why) { return Outcome::failed(make_fault(type, std::move(why), what.pointer)); };
    const bool fetched = frame.stage == Frame::Stage::resumed;
    if (fetched && !frame.request.contains("document")) return http_answer(what, frame);
    OrFault<Value> filled = fill(branch, frame, what.body, frame.input);
    if (!filled) return Outcome::failed(std::move(filled.error()));
    const Json with = filled->json();
    const Json& endpoint = with["document"]["endpoint"];
    const std::string uri = endpoint.is_string() ? endpoint.as_string() : endpoint["uri"].as_string();
    const std::string known = (uri.starts_with("package:///") ? document(branch).root : "") + uri;
    if (!api_documents_.contains(known)) {
        std::string text;
        if (uri.starts_with("package:///")) {
            const auto asset = package_->assets.find(document(branch).root + uri.substr(11));
            if (asset == package_->assets.end()) return wrong(ErrorType::configuration, fmt::format("the package has no file '{}'", uri.substr(11)));
            text = asset->second;
        } else if (fetched) {
            const Json answer = frame.answer.json();
            if (answer["status"] != Json(200)) {
                Fault fault = make_fault(ErrorType::communication, fmt::format("the OpenAPI document {} answered {}", uri, answer["status"].as_integer()), what.pointer);
                fault.status = static_cast<int>(answer["status"].as_integer());
                return Outcome::failed(std::move(fault));
            }
            text = answer["text"].as_string();
        } else {
            if (!uri.starts_with("http://") && !uri.starts_with("https://")) return wrong(ErrorType::configuration, fmt::format("'{}' is no http or https address", uri.substr(0, 100)));
            Outcome out = http_send(branch, frame, Json::object({{"method", "GET"}, {"uri", uri}, {"headers", Json::object()}, {"query", Json::object()}}), endpoint["authentication"], with);
            frame.request.set("document", true);
            return out;
        }
        Result<Json> parsed = parse_openapi(text);
        if (!parsed) return wrong(ErrorType::configuration, parsed.error().what);
        api_documents_[known] = std::move(*parsed);
    }
    Result<Json> request = openapi_request(api_documents_[known], uri, with["operationId"].as_string(), with["parameters"]);
    if (!request) return wrong(request.error().code == Errc::not_found ? ErrorType::configuration : ErrorType::validation, request.error().what);
    frame.stage = Frame::Stage::running;
    return http_send(branch, frame, std::move(*request), with["authentication"], with);
}

}  // namespace mill::workflows
