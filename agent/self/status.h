// agent/self/status.h -- the truth about this agent, as one value: for `millwright-agent status`, health and metrics.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/desk.h"
#include "agent/identity.h"
#include "agent/journal.h"
#include "agent/link.h"
#include "agent/self/pause.h"

namespace mill::agent {

/// What changes while the agent runs and is nobody else's. Thread: any.
class Standing {
public:
    void set_terms(const Terms& terms);
    void set_pause(std::optional<Pause> pause);
    std::optional<Terms> terms() const;
    std::optional<Pause> pause() const;

private:
    mutable std::mutex mutex_;
    std::optional<Terms> terms_;
    std::optional<Pause> pause_;
};

struct StatusParts {
    const Identity& identity;
    const std::string& data_folder;
    const Clock& clock;
    const Desk& desk;
    const Journal& journal;
    const Vitals& vitals;
    const Standing& standing;
    const Json& isolation;
    WallTime since;
};

/// {name, id, factory, environment, mode, version, pid, since, dataFolder, approved, slots: {total, taken, free}, unable, paused, attempts, outbox,
/// loops, isolation, problems: [text]}; `problems` is empty when all is well.
Json status_of(const StatusParts& parts);
/// Prometheus text format 0.0.4 of such a value.
std::string metrics_of(const Json& status);
/// For people. `now`: to say how long ago.
std::string words_of_status(const Json& status, WallTime now);

}  // namespace mill::agent
