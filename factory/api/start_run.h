// factory/api/start_run.h -- from a trigger's call to a job. Private to factory/api.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "factory/api/run_call.h"
#include "factory/api/service.h"

namespace mill::factory::handler {

struct StartRun {
    RunCall call;
    std::string key;           ///< for calls that come again; empty: none
    std::string fingerprint;   ///< what must be the same when the key is
    std::int64_t wait = 0;     ///< seconds to hold for the end
    /// Answers the caller once the job is durable. Thread: the writer's. Empty: as `/runs` does.
    std::function<void(const Accepted&)> accepted;
    struct Launch {
        std::string agent, id, user;   ///< id of the agent, its own id of this start, and whose agent it is
    };
    std::optional<Launch> launch{};      ///< a person starts it at their agent; its mistakes are told as [{path, text}]
    std::string uid{};         ///< of the job, as RunRequest has it
    std::string agent{};       ///< the only one that may run it; empty: any
};

/// Checks the input, starts the job, answers. The caller has been admitted.
void start_run(Service& service, const CallPtr& call, Document trigger, StartRun given);

/// A Trigger's `allow`. Errors: denied (the address is in none of its networks).
Status allowed_from(const Document& trigger, std::string_view remote);

/// The environment that a trigger's jobs run in; empty when its deployment is gone.
std::string environment_of(Service& service, const Document& trigger);

}  // namespace mill::factory::handler
