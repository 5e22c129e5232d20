// The agent's proof of who it is: access tokens, and the change of the key that they are got with.
#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "agent/factory_client.h"
#include "agent/self/log_copy.h"
#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"
#include "platform/crypto.h"
#include "platform/fingerprint.h"
#include "protocol/identity.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::int64_t kClockSlack = 20;   // seconds
constexpr std::chrono::milliseconds kRenewPause{5'000}, kRenewPauseMost{60'000};   // a quarter of an hour is left when the first try fails

/// What happened to this agent, and who mends it with which command.
Error explain_refusal(Error error, const Refusal& refusal, const Identity& identity)
{
    const std::string again = fmt::format("then, with the agent stopped: millwright-agent enrol --data DIR --factory {} --code-file FILE", identity.factory_url);
    if (refusal.name == "unknown_agent")
        error.what = fmt::format("agent '{}' was deleted at the factory, or the factory has another store: an administrator makes a code (`millwright agents invite --name {}`), {} ({})",
                                 identity.name, identity.name, again, error.what);
    else if (refusal.name == "revoked" || refusal.name == "copied_key")
        error.what = fmt::format("{}, {}", error.what, again);
    else if (refusal.name == "other_key")
        error.what = fmt::format("the factory knows another key of agent '{}': this folder is an old copy, or the agent was enrolled elsewhere under its name. An administrator lets "
                                 "it be enrolled again (`millwright agents invite --name {} --take-over`), {} ({})", identity.name, identity.name, again, error.what);
    return error;
}

}  // namespace

std::string clock_words(std::int64_t seconds)
{
    return fmt::format("this machine's clock is {} s {} the factory's: synchronise it (systemd-timesyncd or chrony)", std::abs(seconds), seconds > 0 ? "ahead of" : "behind");
}

Tokens::Tokens(const Identity& identity, const Config& config, const Clock& clock)
    : identity_(identity), clock_(clock), max_age_(config.key_max_age), client_(platform::make_http_client(http_options(config, identity.token_url))),
      worker_([this](std::stop_token stop) { renew_when_wanted(stop); })
{
}

Tokens::~Tokens() = default;

Result<std::string> Tokens::get(std::stop_token stop, Refusal* refusal, Milliseconds patience)
{
    const auto until = std::chrono::steady_clock::now() + patience;
    std::unique_lock lock(mutex_);
    for (;;) {
        const SteadyTime now = clock_.steady();
        if (!token_.empty() && now >= ends_at_) token_.clear();
        if ((token_.empty() || now >= renew_at_) && !std::exchange(wanted_, true)) wanted_changed_.notify_one();
        if (refusal != nullptr) *refusal = {};
        if (!token_.empty()) return token_;
        const std::uint64_t before = outcomes_;
        const bool came = outcome_changed_.wait_until(lock, stop, until, [&] { return outcomes_ != before; });
        if (!came && stop.stop_requested()) return fail(Errc::cancelled, "session token: stopped");
        if (!came)
            return fail(Errc::timeout, fmt::format("session token: none within {}: the factory or this machine's disk does not answer", format_duration(patience)));
        if (refusal != nullptr) *refusal = refusal_;
        if (!token_.empty()) return token_;
        if (!error_.what.empty()) return fail(error_);
    }
}

void Tokens::renew_when_wanted(std::stop_token stop)
{
    const LogCopy::Of of(identity_.factory_id);
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            if (!wanted_changed_.wait(lock, stop, [&] { return wanted_; })) return;
        }
        renew_once(stop);
    }
}

void Tokens::renew_once(std::stop_token stop)
{
    const std::scoped_lock work(work_);
    Refusal why;
    auto session = renew(stop, why);
    if (session && max_age_ > Milliseconds(0) && key_age(identity_) > max_age_) {
        if (auto changed = change_key(session->token, stop)) session = renew(stop, why = {});
        else log::warning("agent", "the key is older than {} and stays: {}", format_duration(max_age_), changed.error().what);
    }
    publish(session, why);
}

void Tokens::publish(const Result<Session>& session, const Refusal& refusal)
{
    {
        const std::scoped_lock lock(mutex_);
        const SteadyTime now = clock_.steady();
        refusal_ = refusal;
        error_ = session ? Error{} : session.error();
        if (session) {
            token_ = session->token;
            renew_at_ = now + Microseconds(session->life) * 3 / 4;
            ends_at_ = now + Microseconds(session->life) * 19 / 20;
            pause_ = std::chrono::milliseconds(0);
        } else if (!token_.empty()) {   // it holds for some time yet
            pause_ = std::clamp(pause_ * 2, kRenewPause, kRenewPauseMost);
            renew_at_ = now + pause_;
            log::warning("agent", "the session token was not renewed, and is tried again in {}: {}", format_duration(pause_), error_.what);
        }
        wanted_ = false;   // with the outcome: who finds it too old wants another one
        ++outcomes_;
    }
    outcome_changed_.notify_all();
}

Status Tokens::rotate(std::stop_token stop)
{
    const std::scoped_lock work(work_);
    Refusal why;
    const auto session = renew(stop, why);
    if (!session) return fail(session.error());
    return change_key(session->token, stop);
}

/// The token is there and the old key with it. First the disk has the new key, then the factory, then it is the key.
Status Tokens::change_key(const std::string& token, std::stop_token stop)
{
    auto next = next_key(identity_);
    if (!next) return fail(std::move(next.error()));
    const std::string text = to_base64(next->public_key), said = protocol::key_change(identity_.agent_id, text);
    auto by_new = platform::sign(next->private_key, said), by_old = platform::sign(identity_.private_key.get(), said);
    if (!by_new) return fail(std::move(by_new.error()));
    if (!by_old) return fail(std::move(by_old.error()));
    platform::HttpRequest request;
    request.method = "POST";
    request.uri = identity_.factory_url + std::string(protocol::route::kKey);
    request.headers = {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + token}};
    request.body = dump_json(Json::object({{"publicKey", text}, {"signature", to_base64(*by_new)}, {"signatureBefore", to_base64(*by_old)}}));
    request.timeout = std::chrono::seconds(15);
    Refusal refusal;
    auto answer = call(*client_, std::move(request), stop, &refusal);
    if (!answer && refusal.status == 404)
        return fail(Errc::not_found, "the factory is older than this agent and knows no change of keys: upgrade millwright-factory first");
    if (!answer) return fail("change of the key", std::move(answer.error()));
    {
        const std::scoped_lock lock(mutex_);
        token_.clear();   // the factory ended all of the old key's
    }
    if (auto done = promote_key(identity_, *next); !done) return done;
    log::info("agent", "this agent has a new key: {}", platform::fingerprint(next->public_key));
    return {};
}

void Tokens::refused(std::string_view token)
{
    const std::scoped_lock lock(mutex_);
    if (token_ == token) token_.clear();
}

bool proves_key(const Identity& identity, std::string_view challenge, const Json& answer)
{
    auto proof = from_base64(answer["factoryProof"].as_string());
    return proof && platform::verify(identity.factory_key, std::string("millwright-session:").append(challenge), *proof);
}

Error not_the_factory(const Identity& identity)
{
    return {Errc::denied, fmt::format("{} is not the factory that this agent was enrolled at: it cannot prove the pinned key", identity.factory_url)};
}

Result<bool> ask_for_proof(platform::HttpClient& client, const Identity& identity, Milliseconds timeout, std::stop_token stop, Refusal& refusal)
{
    const std::string challenge = to_base64(random_bytes(32));
    platform::HttpRequest request;
    request.method = "POST";
    request.uri = identity.factory_url + std::string(protocol::route::kProof);
    request.headers = {{"Content-Type", "application/json"}};
    request.body = dump_json(Json::object({{"challenge", challenge}}));
    request.timeout = timeout;
    auto answer = call(client, std::move(request), std::move(stop), &refusal);
    if (!answer) return fail(std::move(answer.error()));
    return proves_key(identity, challenge, *answer);
}

/// Nothing that proves who we are goes to a place that cannot show the key we pinned.
Status Tokens::prove(std::stop_token stop)
{
    Refusal refusal;
    const auto proved = ask_for_proof(*client_, identity_, std::chrono::seconds(15), std::move(stop), refusal);
    if (!proved) return fail("the factory's proof", proved.error());
    // An assertion lives by the factory's clock (its Date): a machine whose clock is wrong works all the same, and says so.
    ahead_ = refusal.date ? clock_.now() - *refusal.date : Microseconds(0);
    const std::int64_t seconds = ahead_.count() / 1'000'000, off = std::abs(seconds);
    if (off <= kClockSlack) ahead_ = Microseconds(0);
    if (off > kClockSlack && !std::exchange(told_ahead_, true)) log::warning("agent", "{}", clock_words(seconds));
    if (!*proved) return fail(not_the_factory(identity_));
    return {};
}

/// With the key that is to follow first, when there is one: the factory may have it, and takes the one before, said after it, for a copy.
Result<Tokens::Session> Tokens::renew(std::stop_token stop, Refusal& refusal)
{
    if (auto proved = prove(stop); !proved) return fail(std::move(proved.error()));
    Result<Json> answer = fail(Errc::not_found, "not asked");
    const auto next = known_next_key(identity_);
    if (next) {
        answer = ask(next->private_key, stop, refusal);
        if (answer) {
            if (auto done = promote_key(identity_, *next); !done) return fail(std::move(done.error()));
            log::info("agent", "the change of this agent's key, cut short before, is done: {}", platform::fingerprint(next->public_key));
        }
    }
    if (!answer && (!next || refusal.status == 401)) {
        refusal = {};
        answer = ask(identity_.private_key.get(), stop, refusal);
    }
    if (!answer) return fail("session token", explain_refusal(std::move(answer.error()), refusal, identity_));
    Session session{(*answer)["access_token"].as_string(), std::chrono::seconds(std::max<std::int64_t>(10, (*answer)["expires_in"].as_integer()))};
    if (session.token.empty()) return fail(Errc::corrupt, "session token: the answer holds none");
    redact_in_log(session.token);
    return session;
}

/// One assertion by `key`, one answer.
Result<Json> Tokens::ask(const std::string& key, std::stop_token stop, Refusal& refusal)
{
    auto counter = next_counter(identity_);
    if (!counter) return fail(std::move(counter.error()));
    const std::int64_t now = (clock_.now() - ahead_).microseconds / 1'000'000;
    const Json claims = Json::object({{"iss", identity_.agent_id},
                                      {"sub", identity_.agent_id},
                                      {"aud", identity_.token_url},
                                      {"iat", now},
                                      {"exp", now + 55},
                                      {"jti", to_hex(random_bytes(16))},
                                      {"ctr", *counter}});
    auto jwt = platform::make_jwt(key, identity_.agent_id, dump_json(claims));
    if (!jwt) return fail(std::move(jwt.error()));
    platform::HttpRequest request;
    request.method = "POST";
    request.uri = identity_.factory_url + std::string(protocol::route::kToken);
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    request.body = "grant_type=client_credentials&client_assertion_type=" +
                   percent_encode("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") + "&client_assertion=" + percent_encode(*jwt);
    request.timeout = std::chrono::seconds(15);
    return call(*client_, std::move(request), stop, &refusal);
}

}  // namespace mill::agent
