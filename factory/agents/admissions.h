// factory/agents/admissions.h -- machines that ask to be admitted, until an administrator decides. In memory only: the way of RFC 8628
// (device authorization), but what an approval gives is bound to the key that asked.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "protocol/states.h"

namespace mill::factory {

struct Admission {
    std::string id;          ///< of the request; no secret
    std::string code;        ///< "BQKR-7TZM": what a person types
    std::string challenge;   ///< base64; signed by each poll
    std::string name, environment;   ///< as wished; environment may be empty
    std::string public_key;  ///< 32 bytes
    protocol::AgentMode mode = protocol::AgentMode::unattended;
    Json facts;
    std::string address;     ///< of the peer
    WallTime created, expires;
    enum class State { waiting, deciding, admitted, refused } state = State::waiting;
    std::string agent;       ///< id, once admitted
    std::string why;         ///< of a refusal
    Milliseconds interval{0};   ///< at which it may poll
    SteadyTime next_poll;    ///< not before
};

/// Thread: any. Nothing here is on disk: after a restart of the factory a machine asks again, with the same key.
class Admissions {
public:
    static constexpr std::size_t kMost = 200, kPerAddress = 20, kAsksPerMinute = 60, kGuessesPerMinute = 20, kGuessersMost = 50;
    static constexpr Milliseconds kLife{15 * 60'000}, kInterval{2'000}, kSlower{5'000}, kSlowest{60'000};

    explicit Admissions(Clock& clock) : clock_(clock) {}

    /// Counts a request of this address before anything is looked up for it. Errors: unavailable (too many in a minute).
    Status knock(const std::string& address);
    /// The request as it waits now. The same key again: the same code, but another one when it asks for something else than an administrator
    /// may have read by now (name, environment, mode). Errors: unavailable (too many; try later).
    Result<Admission> ask(Admission wish);
    /// By the request's id. Errors: not_found (unknown, or over), unavailable (polled too early: its interval is longer from now on).
    Result<Admission> poll(const std::string& id);
    /// As poll, without counting: to check who asks first.
    Result<Admission> find(const std::string& id);
    std::vector<Admission> waiting();   ///< oldest first
    /// By the code as a person typed it at `address`. Errors: not_found; unavailable (too many wrong codes from there, or altogether: guessing).
    Result<Admission> by_code(std::string_view typed, const std::string& address);
    /// One administrator decides: false when another one is at it, or has. `undecided`: it came to nothing, and waits again.
    bool decide(const std::string& id);
    void undecided(const std::string& id);
    void admitted(const std::string& id, const std::string& agent);
    void refused(const std::string& id, std::string why);

private:
    void drop_old();
    bool within(std::deque<SteadyTime>& times, std::size_t most);
    Clock& clock_;
    std::mutex mutex_;
    std::map<std::string, Admission> by_id_;
    std::map<std::string, std::deque<SteadyTime>> asked_;   ///< per address, of the last minute
    std::map<std::string, std::deque<SteadyTime>> wrong_;   ///< codes, per address, of the last minute
};

/// A new code: 8 characters of an alphabet of 32 without 0, 1, I and O: 40 bits.
std::string make_user_code();
/// As made, of what was typed: small letters, spaces and a missing '-' do not matter. Empty: it is none.
std::string normal_user_code(std::string_view typed);

}  // namespace mill::factory
