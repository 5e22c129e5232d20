// agent/questions.h -- what running jobs ask people: brought to a factory until it is taken; what it answers goes to the runs.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "agent/factory_client.h"
#include "agent/runs.h"

namespace mill::agent {

/// Nothing of it is on disk: a runner says its open questions again to a new agent, and the factory knows them by their uid.
/// Thread: `run` its own; the rest any.
class Questions {
public:
    Questions(FactoryClient& factory, const Clock& clock, std::function<void(Command)> tell) : factory_(factory), clock_(clock), tell_(std::move(tell)) {}

    void ask(const protocol::AttemptId& id, Json ask);                                   ///< `ask` of the job channel
    void withdraw(const protocol::AttemptId& id, const std::string& question, const std::string& why);
    void over(const protocol::AttemptId& id);                                            ///< its attempt has ended here
    /// Questions of attempts of which this is true wait here; `stir` when it may have changed. Say it before `run`.
    void hold_back(std::function<bool(const protocol::AttemptId&)> held_back) { held_back_ = std::move(held_back); }
    void stir()
    {
        { const std::scoped_lock lock(mutex_); }   // whoever has just looked waits by now
        changed_.notify_all();
    }
    /// Until stopped. A factory that is away is asked again; the question's time goes on meanwhile.
    void run(std::stop_token stop);

    // What is to be said in the next poll: answers that the runs have.
    void heard(const std::string& question);
    std::vector<std::string> take_heard();
    bool has_heard() const;
    void set_on_heard(std::function<void()> on_heard);

private:
    struct Item {
        Json ask;
        std::string withdrawn;   ///< why; empty: it is asked
    };
    using Name = std::pair<protocol::AttemptId, std::string>;   // what one job asks is nothing of another's
    Json body_of(const Name& name, const Item& item) const;
    const std::pair<const Name, Item>* after_locked(const Name& last) const;   ///< the next one round that may be brought; null: none
    /// True: the factory has said what comes of it.
    bool bring(const Name& name, const Item& item, std::stop_token stop, Refusal& refusal);

    FactoryClient& factory_;
    const Clock& clock_;
    const std::function<void(Command)> tell_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::map<Name, Item> waiting_;
    std::vector<std::string> heard_;
    std::function<void()> on_heard_;
    std::function<bool(const protocol::AttemptId&)> held_back_;
};

}  // namespace mill::agent
