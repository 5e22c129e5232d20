// factory/dispatch/board.h -- waiting jobs and free agents in memory, and who gets what. A cache: the store can make it anew.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "factory/dispatch/ageing.h"
#include "factory/dispatch/match.h"

namespace mill::factory::dispatch {

using JobKey = std::int64_t;
using AgentKey = std::int64_t;
using BindingKey = std::int64_t;

struct Match {
    JobKey job = 0;
    BindingKey binding = 0;
    AgentKey agent = 0;
};

using LockKey = std::pair<std::string, std::string>;   ///< environment, name
struct Lock {
    std::set<JobKey> holders;
    std::set<BindingKey> parked;   ///< queues that wait for it: looked at again when it is free, and not before
};

/// One thread. Jobs of one binding have the same needs, so a decision looks at heads of queues, never at every waiting job. Of a long queue only
/// its beginning is here; the store has the rest, and whoever owns the board refills a queue that `hungry` names before it asks for `next`.
class Board {
public:
    static constexpr std::size_t kKept = 512;   ///< jobs of a queue that are read at once; at most twice as many are here

    void put_environment(Environment environment);
    void remove_environment(const std::string& name);
    void put_agent(AgentKey key, AgentRecord agent);
    void remove_agent(AgentKey key);
    /// The agent gets no jobs of these triggers that somebody else asked for: its user does not want them now. In place of those before.
    void refuse(AgentKey key, std::set<std::string> triggers);
    void put_needs(BindingKey binding, Needs needs);
    bool knows(BindingKey binding) const { return queues_.contains(binding); }

    void add_ready(JobKey job, BindingKey binding, Turn turn);
    void remove_ready(JobKey job, BindingKey binding, Turn turn);      ///< of one that waits
    void put_waiting(BindingKey binding, std::size_t jobs);            ///< so many wait, all of them in the store alone
    /// A queue that has jobs in the store and none here.
    std::optional<BindingKey> hungry() const;
    /// The first kKept of the queue, in any order; fewer: those are all there are.
    void refill(BindingKey binding, const std::vector<std::pair<JobKey, Turn>>& first);
    /// The agent asks for this many jobs now; 0: none.
    void want(AgentKey agent, std::uint32_t jobs);
    std::uint32_t wanted(AgentKey agent) const;
    /// A job of the binding has, or no longer has, its locks and a place under its trigger's concurrency.
    void occupy(BindingKey binding, JobKey job);
    void vacate(BindingKey binding, JobKey job);

    /// Jobs of the binding wait, whoever is free: its package was decommissioned.
    void stop(BindingKey binding);
    bool stopped(BindingKey binding) const;

    /// Nothing starts in an environment of which `held` is true; empty: none is held. Say it again when its answers change.
    void hold(std::function<bool(const std::string& environment)> held);

    /// The next job and agent that go together, already taken off the board (ready, want, concurrency, locks: all or none); nothing: wait.
    /// The job whose turn it is; the agent first in the environment's order, then the one unused for longest.
    std::optional<Match> next();

    // For `why`.
    const Needs& needs(BindingKey binding) const { return queues_.at(binding).needs; }
    const Environment& environment(const std::string& name) const;
    std::uint32_t occupied(const std::string& trigger) const;
    std::uint32_t slots(const LockKey& lock) const;
    const std::map<LockKey, Lock>& locks() const { return locks_; }   ///< that somebody holds or waits for
    std::size_t ready_count(BindingKey binding) const;
    const std::set<BindingKey>& waiting() const { return waiting_; }   ///< bindings of which jobs are ready
    std::size_t fitting_agents(BindingKey binding);
    bool anyone_free(BindingKey binding);   ///< an agent that fits asks for jobs now

    std::size_t kept() const;                             ///< waiting jobs that are in memory
    std::uint64_t visits() const { return visits_; }      ///< queues, agents and jobs looked at by all decisions so far

private:
    struct Queue {
        Needs needs;
        std::set<std::pair<Turn, JobKey>> ready;
        std::size_t beyond = 0;                   // in the store alone: behind all of `ready`
        bool stopped = false;
        std::optional<LockKey> parked;            // the lock that it waits for
    };
    struct Seat {
        AgentRecord agent;
        std::set<std::string> refused;                       // triggers
        std::uint32_t want = 0;
        std::uint64_t used = 0;                              // its place in free_
        std::unordered_map<BindingKey, int> ranks;           // -1: does not fit
        std::uint64_t revision = 0;
    };
    int rank(Seat& seat, BindingKey binding);
    bool blocked(const Queue& queue) const;
    std::optional<LockKey> lacked(const Queue& queue) const;   // the first of its locks that is not free
    void park(BindingKey binding, Queue& queue, const LockKey& lock);
    void unpark(const LockKey& lock);                   // all that wait for it look again
    void unpark_all();
    void enter_round(BindingKey binding);
    std::optional<Match> for_agent(AgentKey key);
    std::optional<Match> for_queue(BindingKey binding);
    Match take(AgentKey agent, BindingKey binding);
    void settle(BindingKey binding, Queue& queue);      // after `ready` or `beyond` changed
    void set_want(Seat& seat, AgentKey key, std::uint32_t jobs);
    void stir_all();

    std::unordered_map<BindingKey, Queue> queues_;
    std::set<BindingKey> waiting_, open_, hungry_;      // queues with jobs here; those of them that wait for no lock; with jobs in the store alone
    std::map<AgentKey, Seat> seats_;
    std::map<std::uint64_t, AgentKey> free_;            // want > 0, longest unused first
    std::map<std::string, Environment, std::less<>> environments_;
    mutable std::map<std::string, Environment, std::less<>> assumed_;   // of environments without a document
    std::map<std::string, std::uint32_t> occupied_;     // by trigger
    std::map<LockKey, Lock> locks_;
    std::set<AgentKey> stirred_agents_;
    std::set<BindingKey> stirred_queues_;
    std::set<std::tuple<Turn, JobKey, BindingKey>> round_;   // those stirred queues that are being asked, by their heads
    std::function<bool(const std::string&)> held_;
    std::uint64_t revision_ = 1, uses_ = 0, visits_ = 0;
};

}  // namespace mill::factory::dispatch
