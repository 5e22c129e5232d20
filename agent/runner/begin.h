// agent/runner/begin.h -- what the agent tells a runner to do (protocol/README.md, job channel).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "platform/base/json.h"
#include "protocol/permissions.h"

namespace mill::runner {

struct Begin {
    std::string key, workflow = "main", package = "/package.mwp";
    Json input, variables, runtime;
    protocol::Permissions grants;
    std::uint64_t first_sequence = 2;
    bool events = false, trace = false;
    bool details = false; ///< step records carry input and output
    bool step = false;    ///< a person steps through it
    std::string asks;     ///< whom the run may ask: "factory", "terminal", "nobody"; empty: of an older agent
    Json snapshot;        ///< of a run that waited for people when its machine went down: it goes on from there, and `input` is not looked at
    Json rehearsal;       ///< of a test: standIns, real, now, checks; null otherwise
};

/// One message of the agent; exactly one member is set, or none for what a newer agent may say.
struct AgentMessage {
    std::optional<Begin> begin;
    std::optional<std::uint64_t> acknowledged, resume;
    std::optional<Json> cancel;  ///< {by, why}
    std::optional<Json> answered;  ///< {question, state, answer, by, comment, at, why}
    bool go = false;             ///< what was kept of a waiting run is void: it may go on by itself
    std::optional<Json> read;    ///< {id, answer} or {id, error {type, status, detail}}: of a metric that was asked for
    std::optional<Json> step;    ///< {do, expression or task}
};
Result<AgentMessage> parse_agent_message(std::string_view text);

}  // namespace mill::runner
