// agent/person/seen_jobs.h -- what runs and ran on this machine, for the eyes of the person beside it: a ledger that looks on.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/journal.h"
#include "agent/ledger.h"

namespace mill::agent {

/// Passes everything on to the ledger behind it and keeps, in memory, the newest of what it saw: kMostJobs jobs that are over, kMostLines
/// lines of each. Thread: the ledger's calls that of the runs; the others any.
class SeenJobs : public Ledger {
public:
    static constexpr std::size_t kMostJobs = 20, kMostLines = 200, kMostSteps = 500, kMostText = 16 * 1024;

    explicit SeenJobs(Ledger& behind) : behind_(behind) {}
    /// Called after each change, on the thread that made it. Say it before the runs begin.
    void on_change(std::function<void()> changed) { changed_ = std::move(changed); }
    /// What a job tells the person: {id, text, title, job, at}.
    void on_tell(std::function<void(Json)> tells) { tells_ = std::move(tells); }
    /// What a factory's journal still holds of attempts before this start: those that are open go on, the others are the history.
    void remember(Journal& journal);

    Status taken(const protocol::AttemptId& id, const std::string& offer) override;
    Status started(const protocol::AttemptId& id, const protocol::Event& running, SteadyTime now) override;
    Status event(const protocol::AttemptId& id, const protocol::Event& event) override;
    Status sync() override { return behind_.sync(); }
    void extra(const protocol::AttemptId& id, const Json& message) override { behind_.extra(id, message); }
    void ask(const protocol::AttemptId& id, const Json& ask) override { behind_.ask(id, ask); }
    void unask(const protocol::AttemptId& id, const std::string& question, const std::string& why) override { behind_.unask(id, question, why); }
    void heard(const protocol::AttemptId& id, const std::string& question) override { behind_.heard(id, question); }
    void told(const protocol::AttemptId& id, const protocol::Event& event) override;
    void waits(const protocol::AttemptId& id, bool waits) override;
    Status keep(const protocol::AttemptId& id, std::uint64_t after, const Json& snapshot) override { return behind_.keep(id, after, snapshot); }
    void not_held(const protocol::AttemptId& id, const std::string& why) override;
    void released(const protocol::AttemptId& id) override;

    /// It was asked to stop: shown so until it ends.
    void cancelling(const std::string& job);
    /// Attempts that are neither over nor given back.
    std::vector<protocol::AttemptId> open() const;
    /// [{job, trigger, title, for, state, started, progress, step}], the oldest first.
    Json running() const;
    /// Those that ended here, the newest first, as rows of the history with `files`; without kept lines and steps.
    Json ended() const;
    /// A row with `log` [{time, level, text}] and `steps` [{name, task, state}]; nothing: this machine knows no such job.
    std::optional<Json> job(const std::string& uid) const;

private:
    struct Seen {
        protocol::AttemptId id;
        std::string trigger, title, asker, state = "ready", reason, step;
        bool open = true, waiting = false, held_up = false, cancelling = false;   // held_up: all of it, by people
        std::vector<std::string> write;   // folders that it may write
        std::optional<WallTime> started, ended;
        Json progress, output, error;
        std::deque<Json> log, steps;
    };
    Seen& seen_locked(const protocol::AttemptId& id);
    static void read_offer(Seen& seen, const Json& offer);
    static void apply(Seen& seen, const protocol::Event& event);
    void trim_locked();
    static Json row(const Seen& seen);
    void tell() const
    {
        if (changed_) changed_();
    }

    Ledger& behind_;
    std::function<void()> changed_;
    std::function<void(Json)> tells_;
    mutable std::mutex mutex_;
    std::map<std::string, Seen> jobs_;    // by the job's uid: the newest attempt
};

/// Paths in `output`, as whole texts, that lie in one of `folders`; at most 50.
Json files_in(const Json& output, const std::vector<std::string>& folders);

}  // namespace mill::agent
