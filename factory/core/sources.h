// factory/core/sources.h -- which notifiers hear of what, and who asked. factory/core/ only.
#pragma once

#include <string>
#include <string_view>

#include "factory/store/writer.h"

namespace mill::factory::core {

/// In front of a trigger's name: what tells the callers of its jobs. No notifier has such a name.
inline constexpr std::string_view kCallback = "callback/";

bool listens(const Json& notifier, std::string_view event);
bool is_source(const Json& notifier, const Binding& binding);   ///< of jobs of it
bool hears_of(const Json& notifier, const AgentRecord& agent);
bool hears_of_credential(const Json& notifier, const std::string& credential);
/// `on: [ { EVENT: { MEMBER: 5m } } ]`
Milliseconds span_of(const Json& notifier, std::string_view event, std::string_view member, Milliseconds usual);
/// The same whenever this is told. Also of a job that another one's end starts.
std::string delivery_id(std::string_view job, std::string_view notifier, std::string_view event);
/// Who asked for a job: names, and of a chat its user. None of them may approve it.
Json requesters(const std::string& requested_by, const Json& asked_by, const Json& context);
/// As QuestionRecord::conversation; empty: the job is of none.
std::string conversation_of(const std::string& trigger, const Json& context);
bool in_conversation(const Json& by);   ///< somebody there may answer
Json document_of(const JobRecord& job, std::string_view event, const std::string& now);

}  // namespace mill::factory::core
