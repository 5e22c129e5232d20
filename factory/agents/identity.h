// factory/agents/identity.h -- who calls, and what that allows.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "factory/agents/scopes.h"
#include "factory/core_values.h"

namespace mill::factory {

/// Each includes those before it.
enum class Role { none, viewer, operate, developer, admin };
std::string_view name(Role role);
std::optional<Role> parse_role(std::string_view text);

/// Where a role is needed.
struct Place {
    enum class Of {
        everywhere,   ///< it belongs to no environment, or to all of them
        anywhere,     ///< it is shared: one environment suffices
        all,          ///< in each of `environments`
        any,          ///< in one of `environments`
    };
    Of of = Of::everywhere;
    std::vector<std::string> environments = {};
    std::string words() const;   ///< "in environment 'prod'", "in all environments"
};

struct Identity {
    std::string kind;      ///< admin, user, trigger, env, agent; empty: nobody
    std::string id;        ///< of the token
    std::string subject;   ///< user name, trigger, environment, agent id
    Role role = Role::none;
    std::vector<std::string> environments = {};   ///< where it has the role; empty: in all
    Scopes scopes = Scopes::everything();
    std::optional<WallTime> ends = {};            ///< of a token that was lent

    Who who(std::string_view remote) const;   ///< "admin", "user anna", "trigger x", "environment key x"
    bool everywhere() const { return environments.empty(); }
    bool in(std::string_view environment) const;
    /// The one place that decides by role. Scopes are not looked at.
    bool has(Role needed, const Place& place) const;
    /// It may do all that `other` may: what somebody gives must be theirs.
    bool covers(const Identity& other) const;
};

/// What it goes by where people are named for something in `environment` ("role:operator" and the roles below, where it has them; "user:anna",
/// "token:ID"): QuestionRecord::by.
std::vector<std::string> names_of(const Identity& identity, std::string_view environment);

}  // namespace mill::factory
