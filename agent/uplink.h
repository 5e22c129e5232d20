// agent/uplink.h -- the thread that reports: events from the journal to the factory, in order, until each is acknowledged.
#pragma once

#include <functional>
#include <stop_token>

#include "agent/factory_client.h"
#include "agent/journal.h"
#include "agent/self/vitals.h"

namespace mill::agent {

/// Thread: its own. Any outage only makes it wait: the journal keeps everything.
class Uplink {
public:
    /// `stale`: the factory has given this attempt to somebody else, or ended it.
    Uplink(Journal& journal, FactoryClient& factory, std::function<void(const protocol::AttemptId&, const std::string& standing)> stale)
        : journal_(journal), factory_(factory), stale_(std::move(stale))
    {
    }
    void watch(Vitals::Loop& loop) { vital_ = &loop; }
    void run(std::stop_token stop);

private:
    /// One request. Errors: those of FactoryClient, corrupt (an answer without what was asked).
    Status send(const std::vector<Journal::Batch>& batches, std::stop_token stop, Refusal& refusal);

    Journal& journal_;
    FactoryClient& factory_;
    std::function<void(const protocol::AttemptId&, const std::string&)> stale_;
    Vitals::Loop* vital_ = nullptr;
};

}  // namespace mill::agent
