#include "factory/agents/identity.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace mill::factory {

std::string_view name(Role role)
{
    switch (role) {
    case Role::none: return "none";
    case Role::viewer: return "viewer";
    case Role::operate: return "operator";
    case Role::developer: return "developer";
    case Role::admin: return "admin";
    }
    return "none";
}

std::optional<Role> parse_role(std::string_view text)
{
    for (const auto role : {Role::viewer, Role::operate, Role::developer, Role::admin})
        if (text == name(role)) return role;
    return std::nullopt;
}

std::string Place::words() const
{
    switch (of) {
    case Of::everywhere: return "in all environments";
    case Of::anywhere: return "in an environment";
    case Of::all: return environments.size() == 1 ? fmt::format("in environment '{}'", environments.front()) : fmt::format("in the environments {}", fmt::join(environments, ", "));
    case Of::any: return environments.size() == 1 ? fmt::format("in environment '{}'", environments.front()) : fmt::format("in one of the environments {}", fmt::join(environments, ", "));
    }
    return {};
}

Who Identity::who(std::string_view remote) const
{
    std::string text;
    if (kind == "admin") text = subject.empty() || subject == "admin" ? "admin" : fmt::format("admin {}", subject);
    else if (kind == "env") text = fmt::format("environment key {}", subject);
    else text = kind.empty() ? "nobody" : fmt::format("{} {}", kind, subject);
    return {std::move(text), std::string(remote)};
}

std::vector<std::string> names_of(const Identity& identity, std::string_view environment)
{
    std::vector<std::string> out{"token:" + identity.id};
    if ((identity.kind == "user" || identity.kind == "admin") && !identity.subject.empty()) out.push_back("user:" + identity.subject);
    for (const auto role : {Role::viewer, Role::operate, Role::developer, Role::admin})
        if (role <= identity.role && identity.in(environment)) out.push_back(fmt::format("role:{}", name(role)));
    return out;
}

bool Identity::in(std::string_view environment) const
{
    return everywhere() || std::find(environments.begin(), environments.end(), environment) != environments.end();
}

bool Identity::has(Role needed, const Place& place) const
{
    if (role < needed) return false;
    const auto here = [this](const std::string& each) { return in(each); };
    switch (place.of) {
    case Place::Of::everywhere: return everywhere();
    case Place::Of::anywhere: return true;
    case Place::Of::all: return place.environments.empty() ? everywhere() : std::all_of(place.environments.begin(), place.environments.end(), here);
    case Place::Of::any: return everywhere() || std::any_of(place.environments.begin(), place.environments.end(), here);
    }
    return false;
}

bool Identity::covers(const Identity& other) const
{
    const bool all_of_them = other.everywhere() ? everywhere() : std::all_of(other.environments.begin(), other.environments.end(), [this](const std::string& each) { return in(each); });
    return role >= other.role && all_of_them && other.scopes.within(scopes);
}

}  // namespace mill::factory
