// agent/demand.h -- how many runners the keeper should hold ready for which request: as many as were asked for of late.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "platform/base/clock.h"

namespace mill::agent {

/// One for a request that a job was started for within five minutes, more when jobs come close behind each other, none after that. A
/// request has the package's file (named by its digest), what was granted and the limits in it: when one of them changes, nobody asks
/// for the old one any more and its runners go. Thread: one.
class Demand {
public:
    /// `most` for one request; 0: nothing is held ready.
    Demand(const Clock& clock, std::size_t most) : clock_(clock), most_(most) {}

    void started(const std::string& request);
    /// What is held ready goes, whatever it is for: who may run what was changed.
    void forget();
    /// What is different from what was said before: {request, count}.
    std::vector<std::pair<std::string, std::size_t>> changes();
    /// When `changes` may have something to say.
    std::optional<SteadyTime> next() const;

private:
    struct Recent {
        std::deque<SteadyTime> starts;  ///< the latest last
        std::size_t said = 0;
    };
    std::size_t wanted(Recent& recent, SteadyTime now) const;

    const Clock& clock_;
    const std::size_t most_;
    std::map<std::string, Recent> recent_;
};

}  // namespace mill::agent
