// agent/self/status.h -- the truth about this agent, as one value: for `millwright-agent status`, health and metrics.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/at_factory.h"
#include "agent/self/pause.h"

namespace mill::agent {

/// The pause that holds now. Thread: any.
class Standing {
public:
    void set_pause(std::optional<Pause> pause);
    std::optional<Pause> pause() const;

private:
    mutable std::mutex mutex_;
    std::optional<Pause> pause_;
};

struct Unserved {
    std::string factory_id, why;   ///< enrolled there, and what lies here of it cannot be used
};

struct StatusParts {
    const std::vector<std::unique_ptr<AtFactory>>& factories;
    const std::vector<Unserved>& unserved;
    const std::string& data_folder;
    const Clock& clock;
    const Slots& slots;
    const Vitals& vitals;
    const Standing& standing;
    const Json& isolation;
    WallTime since;
    Json person{};             ///< of an attended agent: user, session, faces, what waits
};

/// {version, pid, keeper, since, dataFolder, factories: [{name, id, url, factory, environment, mode, approved?, unable?, attempts, outbox}],
/// slots: {total, taken, free}, unable, paused, loops, isolation, problems: [text]}; `problems` is empty when all is well. `factory` is the
/// factory's id; `approved` is known when a session was open.
Json status_of(const StatusParts& parts);
/// Prometheus text format 0.0.4 of such a value.
std::string metrics_of(const Json& status);
/// For people. `now`: to say how long ago.
std::string words_of_status(const Json& status, WallTime now);

}  // namespace mill::agent
