// agent/keeper_client.h -- the agent's end of its channel to the keeper, which holds every sandbox.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "agent/keeper/messages.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/channel.h"

namespace mill::agent {

/// How a runner ended, as the keeper saw it.
struct RunnerEnd {
    int exit = 0, signal = 0;
    std::string flag;          ///< "memory", "cpu", "time", "killed" or nothing
    std::uint64_t cpu_ms = 0, peak_bytes = 0;
    std::string said;          ///< on its standard error; outside text
};

struct KeeperMessage {
    enum class Kind { started, refused, ended, held, before, listed, broker, isolation, credentials, sealed, reload, again } kind = Kind::listed;
    std::string key;
    platform::Channel channel;               ///< started, held (job channel), broker
    std::string nonce;                       ///< started: what the runner's `ready` says
    std::vector<std::string> notes;          ///< started
    Errc code = Errc::internal;              ///< refused
    std::string why;                         ///< refused, before, sealed (empty: it is)
    RunnerEnd end;                           ///< ended
    Json isolation;                          ///< as a fact of this machine
    std::vector<std::string> names;          ///< credentials
};
/// Errors: corrupt (words that the keeper does not say).
Result<KeeperMessage> read_keeper_message(platform::Message message);

/// Thread: one.
class KeeperClient {
public:
    explicit KeeperClient(platform::Channel channel) : channel_(std::move(channel)) {}
    const platform::Channel& channel() const { return channel_; }

    // Errors of all: unavailable (the keeper is gone).
    Status start(const std::string& key, const keeper::SandboxRequest& request);
    /// Holds `count` runners ready for it from now on; 0: none.
    Status warm(const std::string& request, std::size_t count) { return say({"warm", request, std::to_string(count)}); }
    /// So much is left of its time, from now on: what a run waits for people does not count.
    Status time(const std::string& key, Milliseconds left) { return say({"time", key, std::to_string(left.count())}); }
    Status kill(const std::string& key) { return say({"kill", key}); }
    Status forget(const std::string& key) { return say({"forget", key}); }
    Status list() { return say({"list"}); }
    Status broker() { return say({"broker"}); }
    Status isolation() { return say({"isolation"}); }
    Status credentials() { return say({"credentials"}); }
    Status seal(const std::string& id, const std::string& key) { return say({"seal", id, key}); }
    Status ready(const std::string& text) { return say({"ready", text}); }
    Status alive() { return say({"alive"}); }
    Status renew() { return say({"renew"}); }
    Status stop() { return say({"stop"}); }
    /// Nothing when `wait` is over. Errors: unavailable (gone), corrupt.
    Result<std::optional<KeeperMessage>> receive(std::chrono::milliseconds wait);

private:
    Status say(const keeper::Words& words);
    platform::Channel channel_;
};

}  // namespace mill::agent
