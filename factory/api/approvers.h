// factory/api/approvers.h -- who could approve the jobs of a trigger, by the tokens that there are. Private to factory/api.
#pragma once

#include <string>
#include <vector>

#include "factory/core_values.h"
#include "factory/store/store.h"

namespace mill::factory {

/// Of its deployment; empty when that is not there.
std::string environment_of_trigger(Reader& reader, const Json& trigger);

/// {by: "role operator or user anna", within, could: ["admin", "user anna"]} of a Trigger with `approval`; null of another.
Json approval_preview(Reader& reader, const Json& trigger);

/// Why its jobs would wait in vain; empty: somebody could approve them, or nobody has to.
std::string nobody_approves(Reader& reader, const Json& trigger);

/// The same of all triggers of a deployment (code no_approver).
std::vector<WhyReason> approval_problems(Reader& reader, const std::string& deployment);

/// Whether a machine's own word says who the agent's user is, and the machine is of another environment: there that word gives no role and no approval.
bool vouched_elsewhere(const AgentRecord& agent, const std::string& environment);

/// What an agent's user goes by where people are named for something in `environment`: "user:anna", and the roles of valid tokens of that name there.
std::vector<std::string> names_of_user(Reader& reader, const AgentRecord& agent, const std::string& environment, WallTime now);

/// Whether a trigger of type attended is assigned to the user, by name or by the role of a token of his.
bool assigned_to(Reader& reader, const Json& trigger, const std::string& user);

}  // namespace mill::factory
