// agent/lease.h -- the thread that renews what this agent holds, so that the factory knows that it lives.
#pragma once

#include <atomic>
#include <functional>
#include <stop_token>

#include "agent/desk.h"
#include "agent/factory_client.h"
#include "agent/runs.h"

namespace mill::agent {

/// Thread: its own, with its own connection; it sends nothing while nothing is held.
class Lease {
public:
    Lease(Desk& desk, FactoryClient& factory, const Clock& clock, std::function<void(Command)> tell)
        : desk_(desk), factory_(factory), clock_(clock), tell_(std::move(tell))
    {
    }
    void watch(Vitals::Loop& loop) { vital_ = &loop; }
    void run(std::stop_token stop);
    /// What the session says; any thread.
    void set_period(Milliseconds period) { period_ms_ = period.count(); }

private:
    Status renew(std::stop_token stop, Refusal& refusal);

    Desk& desk_;
    FactoryClient& factory_;
    const Clock& clock_;
    std::function<void(Command)> tell_;
    std::atomic<std::int64_t> period_ms_{15'000};
    Vitals::Loop* vital_ = nullptr;
};

/// The agent's own end of a lease, before the factory's: a quarter is kept for clocks and the way.
SteadyTime lease_end(SteadyTime sent, Milliseconds lease);

}  // namespace mill::agent
