// factory/agents/identity.h -- who calls, and what that allows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "factory/core_values.h"

namespace mill::factory {

/// Each includes those before it.
enum class Role { none, viewer, operate, developer, admin };
std::string_view name(Role role);
std::optional<Role> parse_role(std::string_view text);

struct Identity {
    std::string kind;      ///< admin, user, trigger, env, agent; empty: nobody
    std::string id;        ///< of the token
    std::string subject;   ///< user name, trigger, environment, agent id
    Role role = Role::none;
    Who who(std::string_view remote) const;   ///< "admin", "user anna", "trigger x", "environment key x"
};

/// What it goes by where people are named ("role:operator" and the roles below, "user:anna", "token:ID"): QuestionRecord::by.
std::vector<std::string> names_of(const Identity& identity);

/// The one place that decides by role. Errors: denied, naming what is missing.
Status require(const Identity& identity, Role needed, std::string_view action);

}  // namespace mill::factory
