// agent/factory_client.h -- calls of one factory, as values: what is sent, what an answer means, what an error says to a person.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

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
};

/// One JSON call. The body of a 2xx as JSON (null when empty). Errors: by status (401 and 403 denied, 404 not_found, 409 conflict,
/// 429 and 5xx unavailable, other 4xx invalid) with the problem's detail; else those of HttpClient. `refusal` is filled when given.
Result<Json> call(platform::HttpClient& client, platform::HttpRequest request, std::stop_token stop, Refusal* refusal = nullptr);

platform::HttpOptions http_options(const Config& config, std::string_view factory_url);

/// The agent's access token, renewed at 75 % of its life or when it was refused. Thread: any; a renewal holds up the others.
class Tokens {
public:
    Tokens(const Identity& identity, const Config& config, const Clock& clock);
    /// Errors: denied (enrolment ended, key frozen), unavailable, timeout, cancelled.
    Result<std::string> get(std::stop_token stop);
    /// The factory refused `token`: the next get makes a new one.
    void refused(std::string_view token);

private:
    Result<std::string> renew(std::stop_token stop);
    const Identity& identity_;
    const Clock& clock_;
    std::unique_ptr<platform::HttpClient> client_;
    std::mutex mutex_;
    std::string token_;
    SteadyTime renew_at_;
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
