// factory/api/identity_answer.h -- what the handlers of invitations, enrolment and admissions share. Private to factory/api.
#pragma once

#include <cstdint>
#include <string_view>

#include "factory/api/service.h"
#include "platform/base/fields.h"

namespace mill::factory::handler {

inline constexpr std::string_view kAgentNameRule = "must be 1 to 100 letters, digits, '-', '_' or '.', and not 'invitations' or 'requests'";
bool is_agent_name(std::string_view name);                    ///< agents.cpp
/// "anna", "anna.schmidt@example.com"; nobody: nothing. A mistake of `fields` when it is no such name. agents.cpp
std::string user_of(Fields& fields);
Json labels_of(Fields& fields, std::string_view key);         ///< agents.cpp
Json environments_of(Fields& fields, std::string_view key);   ///< agents.cpp; "*" is all of them
/// What enrolment gives: agent id, the factory's key, the token URL. agent_identity.cpp
void reply_identity(Service& service, const Call& call, const AgentRecord& agent, int status, std::int64_t version);

}  // namespace mill::factory::handler
