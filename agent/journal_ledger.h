// agent/journal_ledger.h -- the runs' record of a factory's attempts: the journal, the desk and the answers.
#pragma once

#include "agent/desk.h"
#include "agent/journal.h"
#include "agent/ledger.h"

namespace mill::agent {

class JournalLedger : public Ledger {
public:
    JournalLedger(Journal& journal, Desk& desk) : journal_(journal), desk_(desk) {}
    Status taken(const protocol::AttemptId& id, const std::string& offer) override { return journal_.take(id, offer); }
    Status started(const protocol::AttemptId& id, const protocol::Event& running, SteadyTime now) override
    {
        return journal_.start(id, running, now);
    }
    Status event(const protocol::AttemptId& id, const protocol::Event& event) override { return journal_.add(id, event); }
    Status sync() override
    {
        auto done = journal_.sync();
        if (!done) desk_.rest(std::chrono::seconds(5), done.error().what);
        return done;
    }
    void extra(const protocol::AttemptId&, const Json&) override {}
    void not_held(const protocol::AttemptId& id, const std::string& why) override
    {
        // Also when the disk is full: without the record the next start of the agent says the same again.
        (void)journal_.finish(id);
        desk_.answer({id, "not_held", why});
        desk_.rest(std::chrono::seconds(2), why);
    }
    void released(const protocol::AttemptId& id) override { desk_.release(id); }

private:
    Journal& journal_;
    Desk& desk_;
};

}  // namespace mill::agent
