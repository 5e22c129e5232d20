// agent/job_words.h -- what one attempt says to keeper, broker and runner, and what its ending means. Values only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/keeper_client.h"
#include "agent/run_spec.h"

namespace mill::agent {

keeper::SandboxRequest sandbox_request(const RunSpec& spec);
/// To the broker: grants, credentials, variables. `missing`: why there is no box although there should be one.
Json open_words(const RunSpec& spec, const std::optional<SealedBox>& sealed = std::nullopt, const std::string& missing = {});
/// How a job was stopped, by the steady clock of the agent.
struct Stop {
    WallTime asked_at;
    SteadyTime asked;
    Milliseconds grace{0};               ///< in which the runner may clean up and end by itself; none before it began
    std::optional<SteadyTime> killed;
};
/// {askedAt, graceMs, answeredAfterMs | killedAfterMs, endedAfterMs}, for the evidence of a final event. `end`: the runner's processes are gone.
Json stop_words(const Stop& stop, SteadyTime now, bool end);
Json begin_words(const RunSpec& spec);   ///< to the runner: the input and what it may do

/// Why it ended: what the machine did to it, else our own `cause`, else what the runner's end says.
Cause cause_of(const RunnerEnd& end, const std::optional<Cause>& cause, const RunSpec& spec);
/// More of the `running` event: what isolation this machine gave.
Json isolation_words(const std::vector<std::string>& notes);
/// More of a final event that this agent makes: evidence, and the error of a failure. `end`: of a runner that had begun.
Json ending_words(const Cause& cause, const RunnerEnd* end);
/// The `error` member of such an event.
Json error_of(const Cause& cause);

}  // namespace mill::agent
