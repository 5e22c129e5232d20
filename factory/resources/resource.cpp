#include "factory/resources/resource.h"

#include <fmt/format.h>

#include "factory/resources/kinds.h"
#include "platform/base/fields.h"
#include "platform/base/text.h"

namespace mill::factory {

std::string_view word(ResourceKind kind)
{
    switch (kind) {
    case ResourceKind::calendar: return "Calendar";
    case ResourceKind::publisher: return "Publisher";
    case ResourceKind::environment: return "Environment";
    case ResourceKind::deployment: return "Deployment";
    case ResourceKind::trigger: return "Trigger";
    case ResourceKind::notifier: return "Notifier";
    }
    return "?";
}

std::string_view plural(ResourceKind kind)
{
    switch (kind) {
    case ResourceKind::calendar: return "calendars";
    case ResourceKind::publisher: return "publishers";
    case ResourceKind::environment: return "environments";
    case ResourceKind::deployment: return "deployments";
    case ResourceKind::trigger: return "triggers";
    case ResourceKind::notifier: return "notifiers";
    }
    return "?";
}

std::optional<ResourceKind> parse_resource_kind(std::string_view text)
{
    for (const auto kind : kResourceKinds)
        if (text == word(kind) || text == plural(kind)) return kind;
    return std::nullopt;
}

bool is_name(std::string_view text)
{
    const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (text.empty() || text.size() > 100 || !plain(text.front()) || !plain(text.back())) return false;
    for (const char c : text)
        if (!plain(c) && c != '-' && c != '_' && c != '.') return false;
    return true;
}

Result<ResourceDocument> parse_document(const Json& document, std::optional<ResourceKind> kind, std::string_view name)
{
    if (!document.is_object())
        return fail(Errc::invalid, fmt::format("a resource document must be an object, found {}", document.kind_name()));
    if (const Json* stated = document.find("kind")) {
        const auto known = parse_resource_kind(stated->as_string());
        if (!known || stated->as_string() != word(*known))
            return fail(Errc::invalid, fmt::format("'kind' must be one of Calendar, Publisher, Environment, Deployment, Trigger, Notifier; found {}",
                                                   dump_json(*stated)));
        if (kind && *kind != *known)
            return fail(Errc::invalid, fmt::format("'kind' is {}, but the address says {}", word(*known), plural(*kind)));
        kind = known;
    }
    if (!kind) return fail(Errc::invalid, "'kind' is missing: one of Calendar, Publisher, Environment, Deployment, Trigger, Notifier");
    const Json* stated_name = document.find("name");
    std::string own(name);
    if (stated_name != nullptr) {
        if (!stated_name->is_string())
            return fail(Errc::invalid, fmt::format("{}: 'name' must be a string, found {}", word(*kind), stated_name->kind_name()));
        if (!name.empty() && stated_name->as_string() != name)
            return fail(Errc::invalid, fmt::format("{}: 'name' is '{}', but the address says '{}'", word(*kind),
                                                   stated_name->as_string(), name));
        own = stated_name->as_string();
    }
    if (own.empty()) return fail(Errc::invalid, fmt::format("{}: 'name' is missing", word(*kind)));
    if (!is_name(own))
        return fail(Errc::invalid, fmt::format("{}: the name '{}' must be 1 to 100 lower-case letters, digits, '-', '_' or '.', "
                                               "beginning and ending with a letter or digit", word(*kind), own));
    Json body = Json::object();
    for (const auto& [key, value] : document.as_object())
        if (key != "kind" && key != "name" && key != "status") body.set(key, value);
    const std::string where = fmt::format("{} '{}'", word(*kind), own);
    Result<Json> normal = [&]() -> Result<Json> {
        switch (*kind) {
        case ResourceKind::calendar: return normalise_calendar(body, where);
        case ResourceKind::publisher: return normalise_publisher(body, where);
        case ResourceKind::environment: return normalise_environment(body, where);
        case ResourceKind::deployment: return normalise_deployment(body, where);
        case ResourceKind::trigger: return normalise_trigger(body, where);
        case ResourceKind::notifier: return normalise_notifier(body, where);
        }
        return fail(Errc::internal, "a kind of resource without a reader");
    }();
    if (!normal) return fail(std::move(normal.error()));
    Json spec = Json::object({{"kind", Json(word(*kind))}, {"name", Json(own)}});
    for (const auto& [key, value] : normal->as_object()) spec.set(key, value);
    return ResourceDocument{*kind, std::move(own), std::move(spec)};
}

namespace {

void compare(const Json& before, const Json& after, const std::string& path, Json& out)
{
    if (before == after) return;
    if (before.is_object() && after.is_object()) {
        for (const auto& [key, value] : before.as_object()) {
            const Json* other = after.find(key);
            const std::string below = path + "/" + escape_pointer(key);
            if (other == nullptr) out.push(Json::object({{"path", Json(below)}, {"from", value}}));
            else compare(value, *other, below, out);
        }
        for (const auto& [key, value] : after.as_object())
            if (!before.contains(key)) out.push(Json::object({{"path", Json(path + "/" + escape_pointer(key))}, {"to", value}}));
        return;
    }
    out.push(Json::object({{"path", Json(path)}, {"from", before}, {"to", after}}));
}

}  // namespace

Json differences(const Json& before, const Json& after)
{
    Json out = Json::array();
    compare(before.is_null() ? Json::object() : before, after, "", out);
    return out;
}

}  // namespace mill::factory
