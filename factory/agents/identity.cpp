#include "factory/agents/identity.h"

#include <fmt/format.h>

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

Who Identity::who(std::string_view remote) const
{
    std::string text;
    if (kind == "admin") text = subject.empty() || subject == "admin" ? "admin" : fmt::format("admin {}", subject);
    else if (kind == "env") text = fmt::format("environment key {}", subject);
    else text = kind.empty() ? "nobody" : fmt::format("{} {}", kind, subject);
    return {std::move(text), std::string(remote)};
}

std::vector<std::string> names_of(const Identity& identity)
{
    std::vector<std::string> out{"token:" + identity.id};
    if ((identity.kind == "user" || identity.kind == "admin") && !identity.subject.empty()) out.push_back("user:" + identity.subject);
    for (const auto role : {Role::viewer, Role::operate, Role::developer, Role::admin})
        if (role <= identity.role) out.push_back(fmt::format("role:{}", name(role)));
    return out;
}

Status require(const Identity& identity, Role needed, std::string_view action)
{
    if (identity.role >= needed) return {};
    if (identity.kind == "trigger")
        return fail(Errc::denied, fmt::format("{} needs the role {}; this token only starts trigger '{}' and reads the jobs that it started", action,
                                              name(needed), identity.subject));
    if (identity.kind == "env")
        return fail(Errc::denied, fmt::format("{} needs the role {}; this key only starts the triggers of environment '{}'", action, name(needed),
                                              identity.subject));
    return fail(Errc::denied, fmt::format("{} needs the role {}; this token ({}) has the role {}", action, name(needed), identity.id, name(identity.role)));
}

}  // namespace mill::factory
