// agent/broker/attempt.h -- one running attempt's effects: its channel, its open calls, its workers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/broker/bridge.h"
#include "agent/broker/effects.h"
#include "agent/broker/message.h"
#include "platform/channel.h"

namespace mill::broker {

inline constexpr std::size_t kMaxOpenCalls = 64;
inline constexpr std::size_t kMaxOpenBytes = 64 * 1024 * 1024;  ///< of the messages of all open calls
inline constexpr std::size_t kMaxAllBytes = 512 * 1024 * 1024; ///< of those of all attempts together
inline constexpr std::size_t kOwnBytes = 1024 * 1024;          ///< so much each attempt may have whatever others have
inline constexpr double kCallsPerSecond = 2000, kCallsAtOnce = 4000;  ///< a runner that says more is read later, not refused
inline constexpr std::size_t kMaxWorkers = 16;
inline constexpr int kMaxViolations = 32;                       ///< malformed messages, then its channel is closed

/// What the open calls of all attempts take together. Thread: any.
struct Budget {
    std::size_t most = kMaxAllBytes;
    std::atomic<std::size_t> bytes = 0;
};

/// Owns a reading thread and up to kMaxWorkers workers, made when needed, each confined by the operating system to the files of the
/// grants before its first effect (reach.h); shares nothing with other attempts, so none can hold up another. A call whose deadline is over is answered at once, even when its worker is stuck. Thread: one.
class Attempt {
public:
    Attempt(std::string key, Budget& all) : key_(std::move(key)), all_(all) {}
    ~Attempt();  ///< Blocks until its workers are done: destroy it where that harms nobody.

    /// Starts reading. Calls that come before `open` wait for it.
    void attach(platform::Channel channel, bool to_new_broker);
    void open(std::shared_ptr<const Grants> grants);
    void close();          ///< forgets the grants and ends what is open
    void detach();         ///< the runner has ended
    bool attached() const { return reader_.joinable(); }
    bool opened() const { return grants() != nullptr; }
    std::shared_ptr<const Grants> grants() const;  ///< null before it is opened and after it is closed

private:
    struct Work {
        EffectCall call;
        SteadyTime deadline;
        std::stop_token stop;
    };
    struct Open {
        std::stop_source stop;
        SteadyTime deadline;
        std::size_t bytes = 0;
    };

    void read(const std::stop_token& stop);
    void keep_pace(const std::stop_token& stop);
    void give_back(std::size_t bytes);  // under the lock
    void accept(platform::Message message);
    void take_listener(platform::Handle handle);
    void start(EffectCall call, std::size_t bytes);
    void cancel(std::uint64_t id);
    void expire();
    void end_all();
    std::optional<Milliseconds> next_expiry() const;
    bool hire();  // under the lock
    void work(const std::stop_token& stop);
    bool take(std::uint64_t id, const std::stop_token& stop);  ///< false when it is no longer open
    std::shared_ptr<const Grants> wait_for_grants(const std::stop_token& stop);
    void say(const std::string& text);
    bool note_refusal(const std::string& effect, const EffectError& error);  ///< false: it is none, or one of too many
    void note_revealed(const Json& values);

    const std::string key_;
    Budget& all_;
    platform::Channel channel_;
    HttpClients clients_;
    std::stop_source over_;  ///< the end of the reader and the workers

    double calls_left_ = kCallsAtOnce;  // the reader's own, like the next
    SteadyTime counted_ = system_clock().steady();
    std::atomic<int> refusals_ = 0;
    std::mutex sending_;

    mutable std::mutex mutex_;  // of all below
    std::condition_variable_any changed_;
    std::shared_ptr<const Grants> grants_;
    std::map<std::uint64_t, Open> open_;
    std::deque<Work> queue_;
    std::size_t open_bytes_ = 0;
    std::size_t idle_ = 0;
    int violations_ = 0;
    std::set<std::string> revealed_;     ///< that the log was told of
    std::unique_ptr<Bridge> bridge_;     ///< one at most, and for good
    std::size_t at_work_ = 0;            // workers that have not ended
    std::size_t confined_ = 0;           // of them: to the files of the grants, as they were then
    std::vector<std::jthread> workers_;
    std::vector<std::thread::id> gone_;  // of them: they end, or have ended

    std::jthread reader_;
};

}  // namespace mill::broker
