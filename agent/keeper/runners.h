// agent/keeper/runners.h -- the sandboxes that run or have ended and are not forgotten.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/keeper/messages.h"
#include "platform/process.h"
#include "platform/sandbox.h"

namespace mill::keeper {

struct Runner {
    std::unique_ptr<platform::Sandbox> sandbox;
    std::string nonce;         ///< what it says when it is ready, so that nobody takes another for it
    platform::Handle job;      ///< duplicate of the agent's end: a new agent gets it, and reads on where the old one stopped
    platform::Handle effects;  ///< duplicate of the broker's end, while it runs
    std::chrono::steady_clock::time_point deadline;
    std::chrono::milliseconds time{};  ///< limit
    std::uint64_t cpu_ms = 0;  ///< limit
    std::string flag;          ///< why we killed it
    std::optional<Words> ended;
};

/// Owns the sandboxes. Thread: the keeper's only one (bubblewrap dies with the thread that started it).
class Runners {
public:
    /// `program` is the runner; `user` the one that sandboxes run as when we are root; nothing in the folder `kept_out` is ever mounted.
    Runners(std::string program, std::optional<platform::User> user, std::string kept_out)
        : program_(std::move(program)), user_(user), kept_out_(std::move(kept_out))
    {
    }

    /// Starts one that is nobody's yet; `name` is its cgroup's. Errors: those of start_sandbox.
    Result<Runner> make(const std::string& name, const SandboxRequest& request) const;
    /// Gives it to `key`; its time begins. Errors: conflict (the key runs already), unavailable (too many).
    Result<Runner*> add(const std::string& key, Runner runner);
    /// Whether `add` would take one.
    Status room(const std::string& key) const;
    /// So much is left of its time, from now on.
    void set_time(const std::string& key, std::chrono::milliseconds left);
    void kill(const std::string& key, const std::string& flag);
    void kill_all();
    /// Notes the end of those that have ended; returns the keys that are new.
    std::vector<std::string> collect();
    /// Kills what is over its time or CPU time.
    void enforce();
    void forget(const std::string& key);

    std::map<std::string, Runner>& all() { return runners_; }
    Runner* find(const std::string& key);
    std::size_t running() const;

private:
    std::string program_;
    std::optional<platform::User> user_;
    std::string kept_out_;
    std::map<std::string, Runner> runners_;
};

}  // namespace mill::keeper
