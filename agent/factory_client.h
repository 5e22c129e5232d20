// agent/factory_client.h -- calls of one factory, as values: what is sent, what an answer means, what an error says to a person.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "agent/config.h"
#include "agent/identity.h"
#include "platform/base/clock.h"
#include "platform/http_client.h"

namespace mill::agent {

/// How the factory answered what was no success.
struct Refusal {
    int status = 0;
    std::string name;                          ///< of the problem: last word of urn:millwright:problem:NAME, or ""
    std::optional<Milliseconds> retry_after;
    bool problem = false;                      ///< the answer was a problem document (RFC 7807) or an error of RFC 6749
    Json body;                                 ///< of the answer, when it was JSON
    std::optional<WallTime> date;              ///< the answer's Date, of a success too
};

/// One JSON call. The body of a 2xx as JSON (null when empty). Errors: by status (401 and 403 denied, 404 not_found, 409 conflict,
/// 429 and 5xx unavailable, other 4xx invalid) with the problem's detail; else those of HttpClient. `refusal` is filled when given.
Result<Json> call(platform::HttpClient& client, platform::HttpRequest request, std::stop_token stop, Refusal* refusal = nullptr);

platform::HttpOptions http_options(const Config& config, std::string_view factory_url);

/// Tells those who wait out an outage that the factory answered somebody. Thread: any.
class Pulse {
public:
    void beat();
    /// Returns after `wait`, when stopped, and after no answer at all (status 0) at the next beat.
    void wait(Milliseconds wait, const Refusal& refusal, std::stop_token stop);

private:
    std::mutex mutex_;
    std::condition_variable_any beaten_;
    std::uint64_t beats_ = 0;
};

/// "this machine's clock is 90 s ahead of the factory's: …"; negative is behind.
std::string clock_words(std::int64_t seconds);

/// Whether what answers at the factory's address holds the key that was pinned. Errors: those of `call`.
Result<bool> ask_for_proof(platform::HttpClient& client, const Identity& identity, Milliseconds timeout, std::stop_token stop, Refusal& refusal);
/// True when `answer.factoryProof` signs `challenge` with the key that was pinned at enrolment.
bool proves_key(const Identity& identity, std::string_view challenge, const Json& answer);
Error not_the_factory(const Identity& identity);

/// The agent's access token, renewed at 75 % of its life or when it was refused, by a thread of its own: while a token holds, nobody waits for
/// the renewal's disk (the counter) and network. Thread: any.
class Tokens {
public:
    static constexpr Milliseconds kPatience{60'000};

    Tokens(const Identity& identity, const Config& config, const Clock& clock);
    ~Tokens();
    Tokens(const Tokens&) = delete;
    Tokens& operator=(const Tokens&) = delete;

    /// Waits only when there is no token that holds, for `patience` at the most; those who wait together get one outcome.
    /// A key that is to follow is tried when there is one: the answer to its change may have been lost.
    /// Errors: denied (what happened to this agent, and whose command mends it), unavailable, timeout, cancelled.
    Result<std::string> get(std::stop_token stop, Refusal* refusal = nullptr, Milliseconds patience = kPatience);
    /// Another key, here and at the factory. Whatever is cut short leaves a key that works. Blocks. Errors: as get; not_found (an older factory).
    Status rotate(std::stop_token stop);
    /// The factory refused `token`: the next get makes a new one.
    void refused(std::string_view token);
    Pulse& pulse() { return pulse_; }

private:
    struct Session {
        std::string token;
        std::chrono::seconds life{0};
    };
    // With work_ held: disk and network.
    Status prove(std::stop_token stop);
    Result<Session> renew(std::stop_token stop, Refusal& refusal);
    Result<Json> ask(const std::string& key, std::stop_token stop, Refusal& refusal);
    Status change_key(const std::string& token, std::stop_token stop);
    void renew_when_wanted(std::stop_token stop);
    void renew_once(std::stop_token stop);
    void publish(const Result<Session>& session, const Refusal& refusal);

    const Identity& identity_;
    const Clock& clock_;
    Pulse pulse_;
    const Milliseconds max_age_;

    std::mutex work_;         ///< one renewal or change of the key at a time; never taken with mutex_ held
    std::unique_ptr<platform::HttpClient> client_;
    Microseconds ahead_{0};   ///< how far this machine's clock is ahead of the factory's
    bool told_ahead_ = false;

    std::mutex mutex_;        ///< held for moments only
    std::condition_variable_any wanted_changed_, outcome_changed_;
    std::string token_;
    SteadyTime renew_at_, ends_at_;
    bool wanted_ = false;     ///< a renewal, until its end
    std::uint64_t outcomes_ = 0;
    Error error_;             ///< of the last outcome, when token_ is empty
    Refusal refusal_;         ///< of the last outcome
    std::chrono::milliseconds pause_{0};   ///< before the next try while a token holds
    std::jthread worker_;     ///< last: it ends before what it uses
};

/// Calls with the agent's token, over a connection of its own. Thread: one.
class FactoryClient {
public:
    FactoryClient(const Identity& identity, const Config& config, Tokens& tokens);
    /// POST of JSON to `route`. A 401 is tried once more with a new token. Errors: as `call`.
    Result<Json> post(std::string_view route, std::string body, Milliseconds timeout, std::stop_token stop, Refusal* refusal = nullptr);
    /// The same with this bearer token, and without a second try.
    Result<Json> post_as(std::string_view token, std::string_view route, std::string body, Milliseconds timeout, std::stop_token stop,
                         Refusal* refusal = nullptr);
    Pulse& pulse() { return tokens_.pulse(); }

private:
    const Identity& identity_;
    Tokens& tokens_;
    std::unique_ptr<platform::HttpClient> client_;
};

/// Full jitter: a random time up to a bound that doubles from 250 ms to 30 s. A Retry-After is kept, plus jitter.
class Backoff {
public:
    Milliseconds next(const Refusal& refusal = {});
    void reset() { bound_ = Milliseconds(250); }

private:
    Milliseconds bound_{250};
};

}  // namespace mill::agent
