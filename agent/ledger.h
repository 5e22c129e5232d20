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
    /// `ask` of the job channel; said again it is fine. The answer comes by command::Answered, until `heard`.
    virtual void ask(const protocol::AttemptId&, const Json& ask) = 0;
    virtual void unask(const protocol::AttemptId&, const std::string& /*question*/, const std::string& /*why*/) {}
    virtual void heard(const protocol::AttemptId&, const std::string& /*question*/) {}
    /// What the job told a person; its event is recorded, too.
    virtual void told(const protocol::AttemptId&, const protocol::Event&) {}
    /// It waits for people: it holds no slot meanwhile (Slots::let_wait).
    virtual void waits(const protocol::AttemptId&, bool /*waits*/) {}
    /// What it goes on from after a restart of the machine; null: nothing, from now on. On the disk when it returns.
    virtual Status keep(const protocol::AttemptId&, std::uint64_t /*after*/, const Json& /*snapshot*/) { return {}; }
    /// Nothing of it runs any more: its slot is free.
    virtual void released(const protocol::AttemptId& id) = 0;
};

}  // namespace mill::agent
