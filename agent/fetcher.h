// agent/fetcher.h -- the threads that get an attempt's package while its slot is held.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "agent/packages.h"
#include "agent/runs.h"

namespace mill::agent {

struct Fetch {
    protocol::Offer offer;
    protocol::Permissions grants;            ///< what the policy admitted
    std::optional<SteadyTime> lease_end;     ///< of a repeatable attempt
    Json snapshot{};                         ///< RunSpec::snapshot
    std::uint64_t last_sequence = 0;         ///< RunSpec::last_sequence
};

/// What the attempt is run with, without the package's path.
RunSpec spec_of(const protocol::Offer& offer, const protocol::Permissions& grants, const Config& config);

/// Thread: its own; several may take from one mailbox.
class Fetcher {
public:
    Fetcher(Packages packages, Mailbox<Fetch>& work, const Config& config, const Clock& clock, std::function<void(Command)> tell)
        : packages_(std::move(packages)), work_(work), config_(config), clock_(clock), tell_(std::move(tell))
    {
    }
    void run(std::stop_token stop);

private:
    void fetch(Fetch item, std::stop_token stop);
    Packages packages_;
    Mailbox<Fetch>& work_;
    const Config& config_;
    const Clock& clock_;
    std::function<void(Command)> tell_;
};

}  // namespace mill::agent
