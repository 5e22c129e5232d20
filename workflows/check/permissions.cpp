// What a package asks for against what its tasks use. Only what is written literally, or as a variable, can be compared.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "platform/base/text.h"
#include "protocol/permissions.h"
#include "workflows/activities/registry.h"
#include "workflows/check/analysis.h"

namespace mill::workflows {
namespace {

/// A task needs something of `permissions.what`. `item`: what exactly, as it would stand there; null when only the run knows.
struct Use {
    std::string what;
    Json item;
    const Document* document;
    const Task* task;  ///< null: an authentication
    std::string pointer;
    bool perhaps = false;  ///< it may need nothing at all
};

/// scheme://host[:port] of an address whose host is written out, else "".
std::string origin_of(std::string_view address)
{
    const auto scheme = address.find("://");
    if (scheme == std::string_view::npos || scheme == 0) return {};
    const auto end = std::min(address.find_first_of("/?#", scheme + 3), address.size());
    std::string_view host = address.substr(scheme + 3, end - scheme - 3);
    if (const auto user = host.rfind('@'); user != std::string_view::npos) host.remove_prefix(user + 1);
    if (host.empty() || host.find_first_of("{}$ \\\"") != std::string_view::npos) return {};
    return fmt::format("{}://{}", address.substr(0, scheme), host);
}

/// What an expression surely begins with: a variable of the package ({variable: NAME}), the text of a leading string, or null.
Json beginning_of(std::string_view expression)
{
    constexpr std::string_view kVariable = "$runtime.metadata.variables.";
    if (expression.starts_with("\"\\(" ) && expression.substr(3).starts_with(kVariable)) expression.remove_prefix(3);
    if (expression.starts_with(kVariable)) {
        std::size_t end = kVariable.size();
        while (end < expression.size() && (std::isalnum(static_cast<unsigned char>(expression[end])) != 0 || expression[end] == '_')) ++end;
        return Json::object({{"variable", expression.substr(kVariable.size(), end - kVariable.size())}});
    }
    if (!expression.starts_with('"')) return nullptr;
    const auto end = expression.find_first_of("\"\\", 1);
    return end == std::string_view::npos ? Json() : Json(expression.substr(1, end - 1));
}

class Uses {
public:
    std::vector<Use> all;

    void network(const Document& document, const Task& task, const Json& endpoint, const std::string& pointer)
    {
        const bool object = endpoint.is_object();
        const std::string& text = (object ? endpoint["uri"] : endpoint).as_string();
        const std::string place = object ? pointer + "/uri" : pointer;
        if (text.starts_with("package:///")) return;
        const std::string_view inside = expression_inside(text);
        if (inside.empty()) {
            const std::string origin = origin_of(text);
            add("network", origin.empty() ? Json() : Json(origin), document, task, place);
            return;
        }
        const Json begins = beginning_of(inside);
        if (begins.is_object()) return add("network", begins, document, task, place);
        // The host must be over: "https://h.example" + .x may become another one.
        const std::string& lead = begins.as_string();
        const auto scheme = lead.find("://");
        const bool whole = scheme != std::string::npos && lead.find('/', scheme + 3) != std::string::npos;
        const std::string origin = whole ? origin_of(lead) : std::string();
        add("network", origin.empty() ? Json() : Json(origin), document, task, place);
    }

    void path(const std::string& what, const Document& document, const Task& task, const Json& value, const std::string& pointer)
    {
        if (!value.is_string()) return;
        const std::string_view inside = expression_inside(value.as_string());
        if (inside.empty()) {
            if (value.as_string().starts_with('/')) add(what, value, document, task, pointer);
            return;  // in the job's workspace, or of the package
        }
        const Json begins = beginning_of(inside);
        if (begins.is_object()) add(what, begins, document, task, pointer);
        else if (begins.as_string().starts_with('/') || begins.is_null()) add(what, Json(), document, task, pointer);
    }

    /// One that is written out, or stands in a variable.
    void text(const std::string& what, const Document& document, const Task& task, const Json& value, const std::string& pointer)
    {
        if (!value.is_string()) return;
        const std::string_view inside = expression_inside(value.as_string());
        const Json begins = inside.empty() ? value : beginning_of(inside);
        add(what, inside.empty() || begins.is_object() ? begins : Json(), document, task, pointer);
    }

    void add(std::string what, Json item, const Document& document, const Task& task, std::string pointer)
    {
        all.push_back({std::move(what), std::move(item), &document, &task, std::move(pointer)});
    }

    /// Tokens come from the authority of an oauth2 or oidc, and perhaps from that of a credential by name.
    void logins(const Document& document, const Json& value, const std::string& pointer, bool login)
    {
        for (const auto& [key, member] : value.as_object()) {
            const std::string place = pointer + "/" + escape_pointer(key);
            if (login && (key == "oauth2" || key == "oidc") && member["authority"].is_string()) {
                const std::string origin = origin_of(member["authority"].as_string());
                all.push_back({"network", origin.empty() ? Json() : Json(origin), &document, nullptr, place + "/authority", origin.empty()});
            } else if (login && key == "use") {
                all.push_back({"network", Json(), &document, nullptr, place, true});
            }
            logins(document, member, place, login || key == "authentication" || key == "authentications");
        }
        for (std::size_t i = 0; i < value.as_array().size(); ++i) logins(document, value[i], fmt::format("{}/{}", pointer, i), login);
    }
};

void uses_of_activity(Uses& uses, const Document& document, const Task& task)
{
    const Activity* activity = find_activity(task.target);
    if (activity == nullptr) return;
    const Json& with = task.definition["with"];
    std::vector<std::string> rest = activity->permissions;
    for (const auto& [name, schema] : activity->with["properties"].as_object()) {
        const std::string& what = schema[kPermissionKeyword].as_string();
        if (what.empty()) continue;
        rest.erase(std::remove(rest.begin(), rest.end(), what), rest.end());
        const std::string pointer = task.pointer + "/with/" + name;
        if (what == "network") uses.network(document, task, with[name], pointer);
        else if (with.is_string()) uses.add(what, Json(), document, task, task.pointer);
        else if (what.starts_with("metrics.")) uses.text(what, document, task, with[name], pointer);
        else uses.path(what, document, task, with[name], pointer);
    }
    for (const std::string& what : rest) {
        const auto dot = what.find('.');
        if (what.starts_with("files.")) uses.add(what, Json(), document, task, task.pointer);
        else uses.add(what.substr(0, dot), dot == std::string::npos ? Json() : Json(what.substr(dot + 1)), document, task, task.pointer);  // system.usage
    }
}

std::vector<Use> uses_of(const Analysis& analysis)
{
    Uses uses;
    for (const Document* document : analysis.documents) {
        uses.logins(*document, document->source, "", false);
        for (const Task& task : document->tasks) {
            const std::string with = task.pointer + "/with";
            switch (task.kind) {
            case TaskKind::call_activity: uses_of_activity(uses, *document, task); break;
            case TaskKind::call_http: uses.network(*document, task, task.definition["with"]["endpoint"], with + "/endpoint"); break;
            case TaskKind::call_openapi:
                uses.network(*document, task, task.definition["with"]["document"]["endpoint"], with + "/document/endpoint");
                uses.add("network", Json(), *document, task, with);  // the servers that the document names
                break;
            case TaskKind::run_shell: uses.add("commands", "sh", *document, task, task.pointer); break;
            case TaskKind::run_script: uses.add("commands", task.target == "js" ? "node" : "python3", *document, task, task.pointer); break;
            default: break;
            }
        }
    }
    return std::move(uses.all);
}

const Json& entries(const Json& asked, const std::string& what)
{
    const auto dot = what.find('.');
    return dot == std::string::npos ? asked[what] : asked[what.substr(0, dot)][what.substr(dot + 1)];
}

std::vector<std::string> path_of(const std::string& what)
{
    const auto dot = what.find('.');
    if (dot == std::string::npos) return {"permissions", what};
    return {"permissions", what.substr(0, dot), what.substr(dot + 1)};
}

std::optional<protocol::Permissions> only(const std::string& what, const Json& item)
{
    const auto dot = what.find('.');
    const Json list = Json::array({item});
    const Json json = dot == std::string::npos ? Json::object({{what, list}}) : Json::object({{what.substr(0, dot), Json::object({{what.substr(dot + 1), list}})}});
    Result<protocol::Permissions> out = protocol::parse_permissions(json, "permissions");
    if (!out) return std::nullopt;
    return std::move(*out);
}

/// True when the asked-for entry may be what covers the use; a variable may hold anything.
bool may_cover(const std::string& what, const Json& entry, const Use& use)
{
    if (entry.is_object() || !use.item.is_string()) return true;
    if (what == "commands" && entry.as_string().ends_with("/" + use.item.as_string())) return true;  // /bin/sh for sh
    const auto asked = only(use.what, use.item), granted = only(what, entry);
    return !asked || !granted || protocol::missing(*asked, *granted).empty();
}

std::string shown(const Json& item) { return item.is_object() ? fmt::format("{{ variable: {} }}", item["variable"].as_string()) : item.as_string(); }

void missing_ones(Analysis& analysis, const std::vector<Use>& uses)
{
    const Json& asked = analysis.package.manifest.asked;
    for (const Use& use : uses) {
        if (use.perhaps) continue;
        const Json& list = entries(asked, use.what);
        const Json& more = use.what == "files.read" ? asked["files"]["write"] : Json();  // writing grants reading
        const auto covered = [&](const Json& some, const std::string& what) {
            return std::any_of(some.as_array().begin(), some.as_array().end(), [&](const Json& entry) { return may_cover(what, entry, use); });
        };
        if (covered(list, use.what) || covered(more, "files.write")) continue;
        const bool known = !use.item.is_null() && (!use.item.is_object() || analysis.package.manifest.variables.contains(use.item["variable"].as_string()));
        if (known) analysis.remedy("package.yaml", path_of(use.what), use.item);
        if (use.what == "commands" && (list.empty() || use.task->kind == TaskKind::run_script)) continue;  // loading has said so
        const std::string who = use.task == nullptr ? "the authentication" : fmt::format("task '{}'", use.task->name);
        analysis.warn("permission-missing", *use.document, use.pointer,
                      known ? fmt::format("{} needs {} {}, which package.yaml does not ask for in permissions", who, use.what, shown(use.item))
                            : fmt::format("{} needs permissions.{}, but package.yaml asks for none", who, use.what));
    }
}

void unused_ones(Analysis& analysis, const std::vector<Use>& uses)
{
    const Json& asked = analysis.package.manifest.asked;
    const bool programs = std::any_of(uses.begin(), uses.end(), [](const Use& use) { return use.what == "commands"; });
    for (const std::string what : {"network", "files.read", "files.write", "commands", "metrics.publish", "metrics.read", "system"}) {
        const Json& list = entries(asked, what);
        if (list.empty()) continue;
        if (programs && what != "system" && !what.starts_with("metrics.")) continue;  // a command may need any of it
        std::string pointer;
        for (const std::string& step : path_of(what)) pointer += "/" + step;
        for (std::size_t i = 0; i < list.size(); ++i) {
            const bool used = std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
                if (use.what != what && !(what == "files.write" && use.what == "files.read")) return false;
                return use.item.is_object() && list[i].is_object() ? use.item == list[i] : may_cover(what, list[i], use);
            });
            if (!used) analysis.warn_manifest("permission-unused", fmt::format("{}/{}", pointer, i), fmt::format("permissions.{} asks for {}, which no task uses", what, shown(list[i])));
        }
    }
}

/// The credentials that secrets stand for.
void credentials(Analysis& analysis)
{
    const Json& list = analysis.package.manifest.asked["credentials"];
    const auto asks = [&](const std::string& name) {
        return std::any_of(list.as_array().begin(), list.as_array().end(), [&](const Json& entry) { return entry.is_object() || entry == Json(name) || entry == Json("*"); });
    };
    for (const Document* document : analysis.documents)
        for (std::size_t i = 0; i < document->secrets.size(); ++i) {
            const std::string& name = document->secrets[i];
            if (asks(name)) continue;
            analysis.remedy("package.yaml", {"permissions", "credentials"}, name);
            analysis.warn("permission-missing", *document, fmt::format("/use/secrets/{}", i), fmt::format("the secret '{}' is a credential that package.yaml does not ask for in permissions.credentials", name));
        }
    for (std::size_t i = 0; analysis.complete() && i < list.size(); ++i) {
        const std::string& name = list[i].as_string();
        const bool used = name.empty() || name == "*" || std::any_of(analysis.documents.begin(), analysis.documents.end(), [&](const Document* document) {
            return std::find(document->secrets.begin(), document->secrets.end(), name) != document->secrets.end();
        });
        if (!used) analysis.warn_manifest("permission-unused", fmt::format("/permissions/credentials/{}", i), fmt::format("permissions.credentials asks for {}, which no workflow names in use.secrets", name));
    }
}

}  // namespace

void check_permissions(Analysis& analysis)
{
    if (analysis.lone) return;
    const std::vector<Use> uses = uses_of(analysis);
    missing_ones(analysis, uses);
    if (analysis.complete()) unused_ones(analysis, uses);
    credentials(analysis);
}

}  // namespace mill::workflows
