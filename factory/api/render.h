// factory/api/render.h -- records of the store as the JSON of the public API.
#pragma once

#include "factory/core_values.h"
#include "factory/file_values.h"
#include "platform/base/json.h"

namespace mill::factory {

Json resource_json(const Document& document);                 ///< the document and `status`
Json package_json(const PackageRecord& package);
/// `publishers`: the documents; a signature shows whose it is as things stand now.
Json signatures_json(const std::vector<SignatureRecord>& signatures, const std::vector<Document>& publishers);
Json credential_json(const CredentialRecord& credential);
Json token_json(const TokenRecord& token);
Json agent_json(const AgentRecord& agent);
Json code_json(const CodeRecord& code);
Json job_json(const JobRecord& job, bool whole);
Json timeline_json(const JobRecord& job, const std::vector<TimelineRow>& rows);
Json why_json(const Why& why);
Json preflight_json(const Preflight& preflight);
Json move_json(const VersionMove& move);
std::string waiting_text(const Why& why);                     ///< one sentence: the summary and the first reason
Json files_json(const std::vector<FileStanding>& standing);   ///< [{agent, online, watches, problem?, saidAt?}]
Json log_item(const StoredEvent& event);
Json step_item(const StoredEvent& event);
Json notifier_state_json(const NotifierState& state);
Json question_json(const QuestionRecord& question);
Json delivery_json(const DeliveryRecord& delivery, bool whole);

void set_time(Json& out, std::string_view key, const std::optional<WallTime>& time);   ///< absent stays absent
void set_text(Json& out, std::string_view key, std::string_view text);                 ///< empty stays absent

}  // namespace mill::factory
