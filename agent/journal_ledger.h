// agent/journal_ledger.h -- the runs' record of a factory's attempts: the journal, the desk and the answers.
#pragma once

#include <functional>

#include "agent/desk.h"
#include "agent/journal.h"
#include "agent/ledger.h"
#include "agent/questions.h"
#include "agent/waiting_runs.h"

namespace mill::agent {

class JournalLedger : public Ledger {
public:
    JournalLedger(Journal& journal, Desk& desk, Questions& questions, WaitingRuns& waiting) : journal_(journal), desk_(desk), questions_(questions), waiting_(waiting) {}
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
    void ask(const protocol::AttemptId& id, const Json& ask) override { questions_.ask(id, ask); }
    void unask(const protocol::AttemptId& id, const std::string& question, const std::string& why) override { questions_.withdraw(id, question, why); }
    void heard(const protocol::AttemptId&, const std::string& question) override { questions_.heard(question); }
    void waits(const protocol::AttemptId& id, bool waits) override { desk_.set_waiting(id, waits); }
    Status keep(const protocol::AttemptId& id, std::uint64_t after, const Json& snapshot) override
    {
        return snapshot.is_null() ? waiting_.forget(id) : waiting_.keep(id, {after, snapshot});
    }
    void not_held(const protocol::AttemptId& id, const std::string& why) override
    {
        const bool here_alone = journal_.is_withheld(id);
        if (here_alone && lost_) lost_(id, why);
        // Also when the disk is full: without the record the next start of the agent says the same again.
        (void)journal_.finish(id);
        desk_.answer({id, "not_held", why});
        desk_.rest(std::chrono::seconds(2), why);
    }
    void released(const protocol::AttemptId& id) override
    {
        questions_.over(id);
        desk_.release(id);
        if (journal_.is_refused(id)) (void)journal_.finish(id);
    }
    /// Told of what began here while the factory was away and came to nothing. Before the runs begin.
    void on_lost(std::function<void(const protocol::AttemptId& id, const std::string& why)> lost) { lost_ = std::move(lost); }

private:
    Journal& journal_;
    Desk& desk_;
    Questions& questions_;
    WaitingRuns& waiting_;
    std::function<void(const protocol::AttemptId&, const std::string&)> lost_;
};

}  // namespace mill::agent
