// agent/keeper/keeper.h -- the parent of agent, broker and all sandboxes: one loop, one thread.
#pragma once

#include <optional>
#include <string>

#include "agent/keeper/child.h"
#include "agent/keeper/pool.h"
#include "agent/keeper/runners.h"
#include "platform/secret_store.h"
#include "platform/service_host.h"

namespace mill::keeper {

struct Settings {
    bool once = false;                       ///< descriptor 3 leads to a starter that plays the agent; end with it
    std::string data;                        ///< the agent's folder
    std::string config;                      ///< handed on to the agent; may be empty
    std::string folder;                      ///< of our programs
    std::chrono::seconds silence{60};        ///< of an agent that says `alive` every 10 s: then it is killed and started again
};

class Keeper {
public:
    Keeper(const Settings& settings, platform::ServiceHost& host);
    /// Until stopped, or the agent has ended for good. Returns the exit code.
    int run();

private:
    bool wait();                     // false: nothing more to do
    void take_signals();
    void watch_agent();
    void watch_broker();
    void watch_runners();
    void hear_agent();
    void hear_broker();
    void obey(const Words& words);
    void start_runner(const std::string& key, const std::string& request);
    void warm(const std::string& request, const std::string& count);
    void set_time(const std::string& key, const std::string& left_ms);
    void list();
    void tell_isolation();
    const char* services() const;    // whose agent and broker are
    void give_credential(const std::string& name);
    void tell_credentials();
    void give_folder();              // to the agent's user
    platform::Handle sealed_keys();  // opened, as the agent takes them at its start
    void seal_key(const std::string& id, const std::string& key);
    void start_broker();
    void join_agent_and_broker();
    Peer& agent() { return once_ ? starter_ : agent_.peer; }
    void finish();
    void look_after_agent();         // one that was alive and is silent is killed
    void end_orphans();              // of the keeper of before, twice
    void tell_service_manager();     // that this loop goes on
    void renew();                    // newer programs: this process becomes the new keeper, once nothing runs

    platform::ServiceHost& host_;
    const Settings settings_;
    bool once_;
    std::optional<platform::User> run_as_;
    Peer starter_;
    Child agent_, broker_;
    Runners runners_;
    platform::SecretPlaces secrets_;
    Pool pool_;
    std::optional<std::chrono::steady_clock::time_point> stop_by_;  // set: stopping; the agent is killed then
    std::optional<int> exit_code_;
    std::optional<std::chrono::steady_clock::time_point> alive_;    // when the agent said so last; none: not yet
    std::optional<std::chrono::steady_clock::time_point> orphans_at_;
    std::chrono::steady_clock::time_point told_{};                  // when the service manager heard of us last
    std::string before_;             // how the last agent ended, for the next one's log
    bool renew_ = false, asked_again_ = false;
    bool untidy_ = false;            // groups of ended sandboxes are left
};

}  // namespace mill::keeper
