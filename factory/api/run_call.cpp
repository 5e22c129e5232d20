#include "factory/api/run_call.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "platform/base/fields.h"

namespace mill::factory {
namespace {

/// "${name.path[0]}" or "{{name.path}}": text that a template engine should have replaced. An expression such as "${ .a + 1 }" is data.
bool is_placeholder(std::string_view text)
{
    if (text.size() < 4 || text.size() > 300) return false;
    if (text.starts_with("${") && text.ends_with('}')) text = text.substr(2, text.size() - 3);
    else if (text.starts_with("{{") && text.ends_with("}}") && text.size() > 4) text = text.substr(2, text.size() - 4);
    else return false;
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    if (text.empty() || !letter(text.front())) return false;
    for (const char c : text)
        if (!letter(c) && !(c >= '0' && c <= '9') && c != '.' && c != '-' && c != '[' && c != ']') return false;
    return true;
}

bool search(const Json& value, std::string& path, int depth)
{
    if (value.is_string()) return is_placeholder(value.as_string());
    if (depth > 64) return false;
    const auto size = path.size();
    for (const auto& [key, item] : value.as_object()) {
        path += '/' + key;
        if (search(item, path, depth + 1)) return true;
        path.resize(size);
    }
    for (std::size_t i = 0; i < value.as_array().size(); ++i) {
        path += '/' + std::to_string(i);
        if (search(value[i], path, depth + 1)) return true;
        path.resize(size);
    }
    return false;
}

const Json& at(const Json& value, std::string_view pointer)
{
    const Json* here = &value;
    while (!pointer.empty()) {
        pointer.remove_prefix(1);
        const auto slash = pointer.find('/');
        const auto key = pointer.substr(0, slash);
        here = here->is_array() ? &(*here)[static_cast<std::size_t>(std::atoi(std::string(key).c_str()))] : &(*here)[key];
        pointer = slash == std::string_view::npos ? std::string_view() : pointer.substr(slash);
    }
    return *here;
}

}  // namespace

std::string find_placeholder(const Json& value)
{
    std::string path;
    if (!search(value, path, 0)) return {};
    return path.empty() ? "/" : path;
}

Result<RunCall> parse_run_call(const Json& body, bool sap)
{
    if (!body.is_object()) return fail(Errc::invalid, fmt::format("the body must be an object {{\"invocationContext\": {{…}}, \"input\": {{…}}}}, found {}", body.kind_name()));
    for (const std::string_view member : {"invocationContext", "input"}) {
        const Json* value = body.find(member);
        const std::string place = value == nullptr ? std::string() : find_placeholder(*value);
        if (place.empty()) continue;
        const std::string full = fmt::format("/{}{}", member, place == "/" ? "" : place);
        const std::string found = at(body, full).as_string();
        return fail(Errc::invalid,
                    fmt::format("{} is the text '{}': a placeholder that was sent as it stands. {}", full, found,
                                member == "invocationContext"
                                    ? "Send the values that you want to see again in the notifications, such as {\"conversationId\": \"4f2a…\"}, or {}; "
                                      "notifiers then read them as ${invocation_context.conversationId}"
                                    : "Replace it by its value before the call"));
    }
    Fields fields(body, "run");
    RunCall out;
    out.context = fields.object("invocationContext", Json::object());
    out.input = fields.object("input", Json::object());
    if (!sap) out.trace = fields.boolean("trace", false);
    if (!sap) out.callback_url = fields.text("callbackUrl", "");
    if (sap) out.token = fields.text("irpaTriggerToken", "");
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

namespace {

Json sample_of(const Json& schema, int depth)
{
    for (const std::string_view given : {"default", "example", "const"})
        if (const Json* value = schema.find(given)) return *value;
    for (const std::string_view list : {"examples", "enum"})
        if (const Json& values = schema[list]; values.is_array() && !values.empty()) return values[std::size_t{0}];
    const Json& types = schema["type"];
    const std::string type = types.is_array() && !types.empty() ? types[std::size_t{0}].as_string() : types.as_string();
    if (depth > 6) return {};
    if (type == "object" || (type.empty() && schema.contains("properties"))) {
        Json out = Json::object();
        for (const Json& name : schema["required"].as_array()) out.set(name.as_string(), sample_of(schema["properties"][name.as_string()], depth + 1));
        return out;
    }
    if (type == "array") {
        Json out = Json::array();
        for (std::int64_t i = 0; i < std::min<std::int64_t>(schema["minItems"].as_integer(), 3); ++i) out.push(sample_of(schema["items"], depth + 1));
        return out;
    }
    if (type == "integer" || type == "number") return schema["minimum"].is_number() ? schema["minimum"] : Json(1);
    if (type == "boolean") return true;
    if (type == "null") return {};
    return "example";
}

}  // namespace

Json sample_of(const Json& schema)
{
    return sample_of(schema, 0);
}

}  // namespace mill::factory
