#include "agent/factory_client.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/http_date.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"
#include "platform/crypto.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr Milliseconds kMaxBackoff{30'000};

/// Seconds or a time (RFC 9110, 10.2.3), the latter by the clock of the one who said it.
std::optional<Milliseconds> read_retry_after(const std::string& text, const std::optional<WallTime>& said_at)
{
    constexpr Milliseconds longest{3'600'000};
    if (auto time = parse_http_date(text)) {
        const Microseconds left = *time - said_at.value_or(system_clock().now());
        return std::clamp(std::chrono::duration_cast<Milliseconds>(left), Milliseconds(0), longest);
    }
    unsigned seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return Milliseconds(1000LL * std::min(seconds, 3600U));
}

Errc code_of(int status)
{
    switch (status) {
    case 401:
    case 403: return Errc::denied;
    case 404: return Errc::not_found;
    case 408:
    case 425:
    case 429: return Errc::unavailable;
    case 409: return Errc::conflict;
    case 413: return Errc::too_large;
    default: return status >= 500 ? Errc::unavailable : Errc::invalid;
    }
}

}  // namespace

platform::HttpOptions http_options(const Config& config, std::string_view factory_url)
{
    platform::HttpOptions options;
    options.ca_file = config.ca_file;
    options.certificate_file = config.certificate_file;
    options.key_file = config.key_file;
    options.proxy = config.proxy.empty() ? platform::proxy_for(factory_url) : config.proxy;
    options.connections = 1;
    options.threads = 1;  // few calls, all short: each further one only costs hand-overs
    return options;
}

Result<Json> call(platform::HttpClient& client, platform::HttpRequest request, std::stop_token stop, Refusal* refusal)
{
    request.headers.emplace_back("User-Agent", fmt::format("millwright-agent/{}", protocol::kProgramVersion));
    request.headers.emplace_back("Accept", "application/json");
    request.repeatable = true;  // every call of /agent/v1 is: said twice it has the effect of once
    const std::string where = request.method + " " + request.uri;
    auto response = client.send(request, stop);
    // A connection that was kept may have ended meanwhile: once more, on a new one.
    if (!response && response.error().code == Errc::unavailable) response = client.send(request, stop);
    if (!response) return fail(std::move(response.error()));
    if (refusal != nullptr)
        if (auto date = parse_http_date(response->header("date"))) refusal->date = *date;
    Json body;
    if (!response->body.empty()) {
        auto json = parse_json(response->body);
        if (json) body = std::move(*json);
        else if (response->status < 300) {
            if (refusal != nullptr) refusal->status = response->status;
            return fail(where, Error{Errc::corrupt, "the answer is no JSON: " + json.error().what});
        }
    }
    if (response->status >= 200 && response->status < 300) return body;
    std::string name = body["type"].as_string();
    name = name.substr(name.rfind(':') == std::string::npos ? name.size() : name.rfind(':') + 1);
    if (refusal != nullptr) {
        refusal->status = response->status;
        refusal->name = name == "blank" ? std::string() : name;
        refusal->problem = body["detail"].is_string() || body["error"].is_string();
        refusal->body = body;
        refusal->retry_after = read_retry_after(response->header("retry-after"), refusal->date);
    }
    if (response->status == 407)
        return fail(Errc::denied, fmt::format("the proxy wants a user and a password (407): config.yaml: 'proxy: http://USER:PASSWORD@HOST:PORT' ({})", where));
    // /token answers as RFC 6749 says: error, error_description.
    std::string detail = body["detail"].as_string();
    if (detail.empty()) detail = body["error_description"].as_string();
    if (detail.empty()) detail = body["title"].as_string();
    if (detail.empty()) detail = body["error"].as_string();
    return fail(code_of(response->status), fmt::format("{} ({}{})", detail.empty() ? "the factory answered no" : detail, where,
                                                       fmt::format(": {}", response->status)));
}

void Pulse::beat()
{
    {
        const std::scoped_lock lock(mutex_);
        ++beats_;
    }
    beaten_.notify_all();
}

void Pulse::wait(Milliseconds wait, const Refusal& refusal, std::stop_token stop)
{
    std::unique_lock lock(mutex_);
    const std::uint64_t before = beats_;
    beaten_.wait_for(lock, stop, wait, [&] { return refusal.status == 0 && beats_ != before; });
}

FactoryClient::FactoryClient(const Identity& identity, const Config& config, Tokens& tokens)
    : identity_(identity), tokens_(tokens), client_(platform::make_http_client(http_options(config, identity.factory_url)))
{
}

Result<Json> FactoryClient::post(std::string_view route, std::string body, Milliseconds timeout, std::stop_token stop, Refusal* refusal)
{
    for (int attempt = 1;; ++attempt) {
        auto token = tokens_.get(stop, nullptr, timeout);
        if (!token) return fail(std::move(token.error()));
        Refusal why;
        auto answer = post_as(*token, route, body, timeout, stop, &why);
        if (refusal != nullptr) *refusal = why;
        if (answer || why.status != 401 || attempt == 2) return answer;
        tokens_.refused(*token);
    }
}

Result<Json> FactoryClient::post_as(std::string_view token, std::string_view route, std::string body, Milliseconds timeout,
                                    std::stop_token stop, Refusal* refusal)
{
    platform::HttpRequest request;
    request.method = "POST";
    request.uri = identity_.factory_url + std::string(route);
    request.headers = {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + std::string(token)}};
    request.body = std::move(body);
    request.timeout = timeout;
    request.max_response = 64 * 1024 * 1024;
    const SteadyTime sent = system_clock().steady();
    auto answer = call(*client_, std::move(request), stop, refusal);
    log::debug("http", "{}: {} in {} ms", route, answer ? "ok" : answer.error().what, (system_clock().steady() - sent).count() / 1000);
    if (answer) tokens_.pulse().beat();
    return answer;
}

Milliseconds Backoff::next(const Refusal& refusal)
{
    const std::string random = random_bytes(4);
    std::uint32_t number = 0;
    std::memcpy(&number, random.data(), sizeof number);
    const auto jitter = Milliseconds(static_cast<std::int64_t>(number) % (bound_.count() + 1));
    bound_ = std::min(bound_ * 2, kMaxBackoff);
    return refusal.retry_after ? *refusal.retry_after + jitter : std::max(jitter, Milliseconds(10));
}

}  // namespace mill::agent
