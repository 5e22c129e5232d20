#include "workflows/openapi.h"

#include <algorithm>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/nearest.h"
#include "platform/base/yaml.h"
#include "workflows/pointer.h"

namespace mill::workflows {
namespace {

constexpr const char* kMethods[] = {"get", "put", "post", "delete", "options", "head", "patch"};
constexpr std::size_t kLongestAddress = 64UL * 1024;

std::string scalar(const Json& value) { return value.is_string() ? value.as_string() : dump_json(value); }

/// Follows `$ref: '#/…'`, at most a few steps.
const Json& resolved(const Json& document, const Json& node)
{
    const Json* here = &node;
    for (int step = 0; step < 8; ++step) {
        const Json* ref = here->find("$ref");
        if (ref == nullptr || !ref->is_string() || !ref->as_string().starts_with("#/")) return *here;
        const Json* target = at_pointer(document, std::string_view(ref->as_string()).substr(1));
        if (target == nullptr) return *here;
        here = target;
    }
    return *here;
}

struct Operation {
    std::string method, path;
    const Json* body = nullptr;
    const Json* item = nullptr;
};

Result<Operation> find_operation(const Json& document, std::string_view id)
{
    std::vector<std::string> names;
    for (const auto& [path, written] : document["paths"].as_object()) {
        const Json& item = resolved(document, written);
        for (const char* method : kMethods) {
            const Json* operation = item.find(method);
            if (operation == nullptr) continue;
            const std::string& name = (*operation)["operationId"].as_string();
            if (name == id) return Operation{method, path, operation, &item};
            names.push_back(name);
        }
    }
    return fail(Errc::not_found, fmt::format("the OpenAPI document has no operation '{}'{}", id, did_you_mean(id, names)));
}

/// scheme://host[:port] of an address, and the folder of its path.
std::pair<std::string, std::string> origin_of(std::string_view uri)
{
    const std::size_t scheme = uri.find("://");
    if (scheme == std::string_view::npos) return {};
    const std::size_t path = std::min(uri.find('/', scheme + 3), uri.size());
    std::string_view folder = uri.substr(path, uri.find_first_of("?#", path) - path);
    folder = folder.substr(0, folder.rfind('/') == std::string_view::npos ? 0 : folder.rfind('/'));
    return {std::string(uri.substr(0, path)), std::string(folder)};
}

/// Every `{name}` by `value`, which is not looked at again. False when the text gets longer than any address is.
bool put_in(std::string& text, const std::string& name, const std::string& value)
{
    const std::string mark = "{" + name + "}";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
        if (text.size() + value.size() > kLongestAddress) return false;
        text.replace(at, mark.size(), value);
    }
    return true;
}

tl::unexpected<Error> too_long() { return fail(Errc::invalid, fmt::format("the operation's address is longer than {} bytes", kLongestAddress)); }

Result<std::string> base_of(const Json& document, const Operation& operation, std::string_view from)
{
    const auto [origin, folder] = origin_of(from);
    if (document.contains("swagger")) {
        const Json& schemes = document["schemes"];
        std::string scheme = from.starts_with("http://") ? "http" : "https";
        if (!schemes.empty() && std::find(schemes.as_array().begin(), schemes.as_array().end(), Json(scheme)) == schemes.as_array().end())
            scheme = schemes[std::size_t{0}].as_string();
        std::string base = document["basePath"].as_string();
        while (base.ends_with('/')) base.pop_back();
        if (document["host"].is_string()) return scheme + "://" + document["host"].as_string() + base;
        if (origin.empty()) return fail(Errc::invalid, "the Swagger document names no host");
        return origin + base;
    }
    const Json* servers = nullptr;
    for (const Json* where : {operation.body, operation.item, &document})
        if (servers == nullptr && !(*where)["servers"].empty()) servers = where->find("servers");
    std::string url = servers == nullptr ? "/" : (*servers)[std::size_t{0}]["url"].as_string();
    if (servers != nullptr)
        for (const auto& [name, variable] : (*servers)[std::size_t{0}]["variables"].as_object())
            if (!put_in(url, name, variable["default"].as_string())) return too_long();
    while (url.ends_with('/')) url.pop_back();
    if (url.find("://") != std::string::npos) return url;
    if (origin.empty()) return fail(Errc::invalid, "the OpenAPI document names no server with an address");
    return url.empty() || url[0] == '/' ? origin + url : origin + folder + "/" + url;
}

/// A list in the spelling that the parameter asks for: repeated (an array), or joined.
Json query_value(const Json& parameter, const Json& value)
{
    if (!value.is_array()) return scalar(value);
    const std::string format = parameter["collectionFormat"].as_string();
    const std::string style = parameter["style"].as_string();
    const bool swagger = parameter.contains("type");
    const bool repeated = swagger ? format == "multi" : parameter["explode"].is_null() ? true : parameter["explode"].as_bool();
    if (repeated) {
        Json out = Json::array();
        for (const Json& item : value.as_array()) out.push(scalar(item));
        return out;
    }
    const char* between = format == "ssv" || style == "spaceDelimited" ? " " : format == "pipes" || style == "pipeDelimited" ? "|" : format == "tsv" ? "\t" : ",";
    std::string out;
    for (const Json& item : value.as_array()) out += (out.empty() ? "" : between) + scalar(item);
    return out;
}

}  // namespace

Result<Json> parse_openapi(std::string_view text)
{
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    Json document;
    if (first != std::string_view::npos && text[first] == '{') {
        Result<Json> parsed = parse_json(text);
        if (!parsed) return fail("the OpenAPI document", std::move(parsed.error()));
        document = std::move(*parsed);
    } else {
        Result<YamlDocument> parsed = parse_yaml(text, {.bytes = 8UL * 1024 * 1024, .nodes = 500'000, .depth = 64, .scalar_keys = true});
        if (!parsed) return fail("the OpenAPI document", std::move(parsed.error()));
        document = std::move(parsed->value);
    }
    const std::string three = document["openapi"].as_string(), two = document["swagger"].as_string();
    if (!three.starts_with("3.") && two != "2.0") return fail(Errc::invalid, "neither an OpenAPI 3.x nor a Swagger 2.0 document");
    return document;
}

Result<Json> openapi_request(const Json& document, std::string_view from, std::string_view operation_id, const Json& given)
{
    Result<Operation> operation = find_operation(document, operation_id);
    if (!operation) return fail(std::move(operation.error()));
    if (!operation->path.starts_with('/')) return fail(Errc::invalid, fmt::format("the path '{}' of the operation '{}' does not begin with /", operation->path.substr(0, 100), operation_id));
    Result<std::string> base = base_of(document, *operation, from);
    if (!base) return fail(std::move(base.error()));
    std::string path = operation->path;
    Json headers = Json::object(), query = Json::object(), form = Json::object(), body;
    std::set<std::string> used;
    std::string cookies;
    std::vector<std::string> known;
    std::set<std::pair<std::string, std::string>> done;
    for (const Json* list : {operation->body, operation->item}) {
        for (const Json& written : (*list)["parameters"].as_array()) {
            const Json& parameter = resolved(document, written);
            const std::string name = parameter["name"].as_string(), in = parameter["in"].as_string();
            if (!done.emplace(name, in).second) continue;  // the operation's own wins over the path's
            known.push_back(name);
            const Json* value = given.find(name);
            if (value == nullptr || value->is_null()) {
                if (parameter["required"].as_bool()) return fail(Errc::invalid, fmt::format("the operation '{}' needs the parameter '{}'", operation_id, name));
                continue;
            }
            used.insert(name);
            if (in == "path") {
                if (!put_in(path, name, percent_encode(scalar(query_value(Json::object({{"explode", false}}), *value))))) return too_long();
            } else if (in == "query") {
                query.set(name, query_value(parameter, *value));
            } else if (in == "header") {
                headers.set(name, scalar(query_value(Json::object({{"explode", false}}), *value)));
            } else if (in == "cookie") {
                cookies += (cookies.empty() ? "" : "; ") + name + "=" + percent_encode(scalar(*value));
            } else if (in == "formData") {
                form.set(name, *value);
            } else if (in == "body") {
                body = *value;
            }
        }
    }
    if (!cookies.empty()) headers.set("Cookie", cookies);
    const Json& wanted = resolved(document, (*operation->body)["requestBody"]);
    if (wanted.is_object()) {
        Json rest = Json::object();
        for (const auto& [name, value] : given.as_object())
            if (!used.contains(name)) rest.set(name, value);
        const Json* whole = given.find("body");
        if (whole != nullptr && !used.contains("body")) {
            body = *whole;
            used.insert("body");
        } else if (!rest.empty()) {
            body = rest;
            for (const auto& [name, value] : rest.as_object()) used.insert(name);
        }
        if (body.is_null() && wanted["required"].as_bool()) return fail(Errc::invalid, fmt::format("the operation '{}' needs a body", operation_id));
        if (!wanted["content"].contains("application/json") && wanted["content"].contains("application/x-www-form-urlencoded")) form = std::exchange(body, Json());
    }
    for (const auto& [name, value] : given.as_object())
        if (!used.contains(name) && !value.is_null())
            return fail(Errc::invalid, fmt::format("the operation '{}' has no parameter '{}'{}", operation_id, name, did_you_mean(name, known)));
    std::string method = operation->method;
    std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    Json out = Json::object({{"method", method}, {"uri", *base + path}, {"query", std::move(query)}});
    if (!form.empty()) {
        std::string text;
        for (const auto& [name, value] : form.as_object()) text += (text.empty() ? "" : "&") + percent_encode(name) + "=" + percent_encode(scalar(value));
        headers.set("Content-Type", "application/x-www-form-urlencoded");
        out.set("bodyText", std::move(text));
    } else if (!body.is_null()) {
        out.set("body", std::move(body));
    }
    out.set("headers", std::move(headers));
    return out;
}

}  // namespace mill::workflows
