#include "workflows/manifest.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/nearest.h"
#include "platform/base/text.h"


namespace mill::workflows {
namespace {

const std::vector<std::string> kTypes = {"string", "integer", "number", "boolean", "object", "array"};

bool fits(const Json& value, const std::string& type)
{
    if (type == "integer") return value.is_integer() || (value.is_number() && value == Json(value.as_integer()));
    return value.kind_name() == type;
}

bool inside(const std::string& path)
{
    if (path.empty() || path[0] == '/' || path.find('\\') != std::string::npos) return false;
    return ("/" + path + "/").find("/../") == std::string::npos && ("/" + path + "/").find("/./") == std::string::npos;
}

/// `permissions:` with each entry {variable: NAME} replaced by the variable's value, or left out when `variables` is null.
Result<Json> put_in(const Json& asked, const Json* variables, std::vector<std::string>* names)
{
    const auto list = [&](const Json& entries) -> Result<Json> {
        if (!entries.is_array()) return entries;
        Json out = Json::array();
        for (const Json& entry : entries.as_array()) {
            if (!entry.is_object() || entry.size() != 1 || !entry["variable"].is_string()) {
                out.push(entry);
                continue;
            }
            const std::string& name = entry["variable"].as_string();
            if (names != nullptr) names->push_back(name);
            if (variables == nullptr) continue;
            const Json& value = (*variables)[name];
            if (value.is_string()) out.push(value);
            else if (value.is_array()) for (const Json& item : value.as_array()) out.push(item);
            else return fail(Errc::invalid, fmt::format("the variable '{}' is named in permissions, but is {} and no text", name, value.kind_name()));
        }
        return out;
    };
    Json out = Json::object();
    for (const auto& [key, entries] : asked.as_object()) {
        if (!entries.is_object() || key == "limits") {
            Result<Json> done = list(entries);
            if (!done) return done;
            out.set(key, std::move(*done));
            continue;
        }
        Json inner = Json::object();
        for (const auto& [sub, subentries] : entries.as_object()) {
            Result<Json> done = list(subentries);
            if (!done) return done;
            inner.set(sub, std::move(*done));
        }
        out.set(key, std::move(inner));
    }
    return out;
}

void read_variables(const Json& json, Manifest& out, const Complaint& complain)
{
    for (const auto& [name, body] : json.as_object()) {
        const std::string at = "/variables/" + name;
        if (!body.is_object()) {
            complain(at, fmt::format("the variable '{}' is an object {{type, default, description}}", name));
            continue;
        }
        Variable variable;
        for (const auto& [key, value] : body.as_object())
            if (key != "type" && key != "default" && key != "description" && key != "required")
                complain(at + "/" + key, fmt::format("a variable has no '{}'{}", key, did_you_mean(key, {"type", "default", "description", "required"})));
        variable.type = body["type"].as_string();
        if (std::find(kTypes.begin(), kTypes.end(), variable.type) == kTypes.end())
            complain(at, fmt::format("the type of the variable '{}' is one of string, integer, number, boolean, object, array", name));
        variable.fallback = body["default"];
        variable.required = body["required"].as_bool();
        variable.description = body["description"].as_string();
        if (!variable.fallback.is_null() && !fits(variable.fallback, variable.type))
            complain(at + "/default", fmt::format("the default of '{}' is not of the type {}", name, variable.type));
        out.variables[name] = std::move(variable);
    }
}

// By hand: to compile a regular expression takes 0.3 ms, and a runner reads one package in its life.

bool take(std::string_view& text, char c)
{
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
}

/// A number without leading zeros, at most nine digits.
bool take_number(std::string_view& text)
{
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || digits > 9 || (digits > 1 && text[0] == '0')) return false;
    text.remove_prefix(digits);
    return true;
}

/// What stands behind '-' or '+': 1 to 80 of letters, digits, '.' and '-'.
bool take_suffix(std::string_view& text)
{
    constexpr std::string_view kInside = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    const std::size_t length = std::min(text.find_first_not_of(kInside), text.size());
    if (length == 0 || length > 80) return false;
    text.remove_prefix(length);
    return true;
}

}  // namespace

bool is_dns_label(std::string_view text)
{
    constexpr std::string_view kInside = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return !text.empty() && text.size() <= 63 && text.find_first_not_of(kInside) == std::string_view::npos && text.front() != '-' && text.back() != '-';
}

bool is_document_name(std::string_view text) { return is_dns_label(lower_case(text)); }

bool is_semantic_version(std::string_view text)
{
    for (const char after : {'.', '.', '\0'}) {
        if (!take_number(text)) return false;
        if (after != '\0' && !take(text, after)) return false;
    }
    if (take(text, '-') && !take_suffix(text)) return false;
    if (take(text, '+') && !take_suffix(text)) return false;
    return text.empty();
}

Manifest read_manifest(const Json& json, const Complaint& complain)
{
    Manifest out;
    if (!json.is_object()) {
        complain("", fmt::format("package.yaml must be an object, not {}", json.kind_name()));
        return out;
    }
    static const std::vector<std::string> kKeys = {"name", "version", "title", "description", "workflow", "workflows", "permissions",
                                                   "variables", "credentials", "dependencies", "requires", "repeatable", "offline", "schedules"};
    for (const auto& [key, value] : json.as_object())
        if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) complain("/" + key, fmt::format("package.yaml has no '{}'{}", key, did_you_mean(key, kKeys)));
    for (const char* key : {"name", "version", "title", "description", "workflow"})
        if (json.contains(key) && !json[key].is_string()) complain(std::string("/") + key, fmt::format("'{}' must be a text, not {}", key, json[key].kind_name()));
    for (const char* key : {"workflows", "permissions", "variables", "credentials", "dependencies", "requires"})
        if (json.contains(key) && !json[key].is_object() && !json[key].is_null()) complain(std::string("/") + key, fmt::format("'{}' must be an object, not {}", key, json[key].kind_name()));
    out.name = json["name"].as_string();
    out.version = json["version"].as_string();
    out.title = json["title"].as_string();
    out.description = json["description"].as_string();
    if (!is_dns_label(out.name)) complain("/name", fmt::format("the package's name '{}' is no DNS label (a-z, 0-9, -)", out.name));
    if (!is_semantic_version(out.version)) complain("/version", fmt::format("the package's version '{}' is no semantic version such as 1.0.0 (quote it)", out.version));
    if (json.contains("workflow")) out.workflows["main"] = json["workflow"].as_string();
    for (const auto& [name, file] : json["workflows"].as_object()) {
        if (!file.is_string()) complain("/workflows/" + name, "a workflow's file must be a text");
        else if (name == "main" && json.contains("workflow")) complain("/workflows/main", "'main' is what 'workflow:' names");
        else out.workflows[name] = file.as_string();
    }
    if (out.workflows.empty()) out.workflows["main"] = "workflow.yaml";
    for (const auto& [name, file] : out.workflows)
        if (!inside(file)) complain("/workflows", fmt::format("'{}' is no path within the package", file));
    out.asked = json["permissions"].is_object() ? json["permissions"] : Json::object();
    std::vector<std::string> variables;
    if (const Result<Json> plain = put_in(out.asked, nullptr, &variables)) {
        Result<protocol::Permissions> permissions = protocol::parse_permissions(*plain, "permissions");
        if (permissions) out.permissions = std::move(*permissions);
        else complain("/permissions", permissions.error().what);
    }
    read_variables(json["variables"], out, complain);
    for (const std::string& name : variables)
        if (!out.variables.contains(name)) complain("/permissions", fmt::format("permissions name the variable '{}', which is not declared", name));
    for (const auto& [name, body] : json["credentials"].as_object()) {
        if (!body["kind"].is_string()) complain("/credentials/" + name, fmt::format("the credential '{}' needs a kind, such as {{ kind: login }}", name));
        out.credentials[name] = body["kind"].as_string();
    }
    for (const auto& [name, version] : json["dependencies"].as_object()) {
        if (!is_dns_label(name)) complain("/dependencies/" + name, fmt::format("the dependency '{}' is no package's name (a-z, 0-9, -)", name));
        else if (!version.is_string() || !is_semantic_version(version.as_string()))
            complain("/dependencies/" + name, fmt::format("the dependency '{}' needs one version, such as 1.2.0 (quote it)", name));
        else out.dependencies[name] = version.as_string();
    }
    out.requirements = json["requires"];
    out.schedules = json["schedules"];
    if (json.contains("repeatable") && !json["repeatable"].is_bool()) complain("/repeatable", "'repeatable' is true or false");
    out.repeatable = json["repeatable"].as_bool();
    if (json.contains("offline") && !json["offline"].is_bool()) complain("/offline", "'offline' is true or false");
    out.offline = json["offline"].as_bool();
    return out;
}

Json to_json(const Manifest& manifest)
{
    Json workflows = Json::object(), variables = Json::object(), credentials = Json::object(), dependencies = Json::object();
    for (const auto& [name, file] : manifest.workflows) workflows.set(name, file);
    for (const auto& [name, variable] : manifest.variables) {
        Json one = Json::object({{"type", variable.type}});
        if (!variable.fallback.is_null()) one.set("default", variable.fallback);
        if (variable.required) one.set("required", true);
        if (!variable.description.empty()) one.set("description", variable.description);
        variables.set(name, std::move(one));
    }
    for (const auto& [name, kind] : manifest.credentials) credentials.set(name, Json::object({{"kind", kind}}));
    for (const auto& [name, version] : manifest.dependencies) dependencies.set(name, version);
    Json out = Json::object({{"name", manifest.name}, {"version", manifest.version}, {"workflows", std::move(workflows)},
                             {"permissions", manifest.asked.is_null() ? Json::object() : manifest.asked}, {"repeatable", manifest.repeatable}});
    if (manifest.offline) out.set("offline", true);   // unsaid: the bytes of packages that know no such thing stay as they are
    if (!manifest.title.empty()) out.set("title", manifest.title);
    if (!manifest.description.empty()) out.set("description", manifest.description);
    if (!variables.empty()) out.set("variables", std::move(variables));
    if (!credentials.empty()) out.set("credentials", std::move(credentials));
    if (!dependencies.empty()) out.set("dependencies", std::move(dependencies));
    if (!manifest.requirements.is_null()) out.set("requires", manifest.requirements);
    if (!manifest.schedules.empty()) out.set("schedules", manifest.schedules);
    return out;
}

Result<Manifest> parse_manifest(const Json& json)
{
    std::string mistakes;
    Manifest out = read_manifest(json, [&](const std::string& pointer, std::string text) {
        mistakes += fmt::format("{}{}: {}", mistakes.empty() ? "" : "; ", pointer.empty() ? "/" : pointer, text);
    });
    if (!mistakes.empty()) return fail(Errc::invalid, std::move(mistakes));
    return out;
}

Result<Json> effective_variables(const Manifest& manifest, const Json& given)
{
    std::string mistakes;
    const auto mistake = [&](std::string text) { mistakes += (mistakes.empty() ? "" : "; ") + text; };
    if (!given.is_null() && !given.is_object()) return fail(Errc::invalid, fmt::format("the variables are an object, not {}", given.kind_name()));
    std::vector<std::string> names;
    for (const auto& [name, variable] : manifest.variables) names.push_back(name);
    for (const auto& [name, value] : given.as_object())
        if (!manifest.variables.contains(name)) mistake(fmt::format("the package has no variable '{}'{}", name, did_you_mean(name, names)));
    Json out = Json::object();
    for (const auto& [name, variable] : manifest.variables) {
        const Json* value = given.find(name);
        if (value == nullptr || value->is_null()) {
            if (variable.required && variable.fallback.is_null()) mistake(fmt::format("the variable '{}' is needed: {}", name, variable.description.empty() ? variable.type : variable.description));
            out.set(name, variable.fallback);
        } else if (!fits(*value, variable.type)) {
            mistake(fmt::format("the variable '{}' must be of the type {}, not {}", name, variable.type, value->kind_name()));
        } else {
            out.set(name, *value);
        }
    }
    if (!mistakes.empty()) return fail(Errc::invalid, std::move(mistakes));
    return out;
}

Result<protocol::Permissions> asked_permissions(const Manifest& manifest, const Json& variables)
{
    Result<Json> plain = put_in(manifest.asked, &variables, nullptr);
    if (!plain) return fail(std::move(plain.error()));
    return protocol::parse_permissions(*plain, "permissions");
}

}  // namespace mill::workflows
