// agent/runner/metrics.h -- figures of the factory: published with the job's events, read through the agent.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/runner/effects.h"
#include "protocol/permissions.h"

namespace mill::runner {

/// The effects "metric.publish" and "metric.read". Every one that was started is answered once, unless it was cancelled. Thread: one.
class Metrics {
public:
    Metrics(const Clock& clock, Reporter& reporter, Effects::Send to_agent) : clock_(clock), reporter_(reporter), to_agent_(std::move(to_agent)) {}

    static bool is_one(const std::string& effect) { return effect == "metric.publish" || effect == "metric.read"; }
    void start(const workflows::EffectRequest& request, const protocol::Permissions& grants);
    void cancel(std::uint64_t id);
    void hear(const Json& read);            ///< the agent's {id, answer} or {id, error}
    void expire(SteadyTime now);            ///< an agent that does not answer, or was replaced
    std::optional<SteadyTime> next_deadline() const;
    std::vector<Effects::Answer> take();    ///< what is to be told to the interpreter
    bool answered() const { return !answers_.empty(); }
    bool idle() const { return answers_.empty() && open_.empty(); }

private:
    void publish(const workflows::EffectRequest& request);

    const Clock& clock_;
    Reporter& reporter_;
    Effects::Send to_agent_;
    std::map<std::uint64_t, SteadyTime> open_;   // reads, by the interpreter's number: until when
    std::vector<Effects::Answer> answers_;
    std::size_t published_ = 0;
};

}  // namespace mill::runner
