// agent/ledger.h -- where the run of an attempt leaves what happened: the journal, or a person's terminal.
#pragma once

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "protocol/event.h"

namespace mill::agent {

/// Called on the thread of the runs. An event may be acknowledged to its runner after `sync`.
class Ledger {
public:
    virtual ~Ledger() = default;
    // Errors of all: unavailable (disk full): try again later.
    virtual Status taken(const protocol::AttemptId& id, const std::string& offer) = 0;
    virtual Status started(const protocol::AttemptId& id, const protocol::Event& running, SteadyTime now) = 0;
    virtual Status event(const protocol::AttemptId& id, const protocol::Event& event) = 0;
    virtual Status sync() = 0;
    /// `cloudEvent` or `trace` of a run that asked for them.
    virtual void extra(const protocol::AttemptId& id, const Json& message) = 0;
    /// The attempt was ours and never started.
    virtual void not_held(const protocol::AttemptId& id, const std::string& why) = 0;
    /// Nothing of it runs any more: its slot is free.
    virtual void released(const protocol::AttemptId& id) = 0;
};

}  // namespace mill::agent
