// protocol/states.h -- the states of a job, why it ended, and their spelling on the wire.
#pragma once

#include <optional>
#include <string_view>

namespace mill::protocol {

enum class JobState { ready, assigned, running, waiting, successful, failed, cancelled, expired };

/// Why a final state was reached. Nothing ends without one.
enum class Reason {
    completed,         ///< successful
    error,             ///< the workflow raised an error nobody caught
    timeout,           ///< the workflow's or the job's time limit
    refused,           ///< the agent, its policy or the sandbox would not run it (permission, signature, isolation)
    invalid_package,   ///< the package does not match its digest or cannot be loaded
    limit_memory,
    limit_cpu,
    limit_processes,
    limit_output,
    limit_steps,
    runner_lost,       ///< the runner ended without a word
    agent_lost,        ///< the agent was silent for longer than offlineLimit
    outcome_unknown,   ///< started, and nobody can say how far it came
    cancelled_by,      ///< a person or program asked; evidence says who
    not_started,       ///< expired while ready
    internal,          ///< our own failure
};

std::string_view name(JobState state);
std::string_view name(Reason reason);  ///< snake_case, as in the enumeration
std::optional<JobState> parse_state(std::string_view text);
std::optional<Reason> parse_reason(std::string_view text);
bool is_final(JobState state);

enum class AgentMode { attended, unattended };
std::string_view name(AgentMode mode);
std::optional<AgentMode> parse_mode(std::string_view text);

}  // namespace mill::protocol
