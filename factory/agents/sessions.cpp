#include "factory/agents/sessions.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/crypto.h"
#include "protocol/token.h"

namespace mill::factory {
namespace {

constexpr std::int64_t kLongestAssertion = 60, kSlack = 5;  // seconds; `exp` follows our own Date header
constexpr std::size_t kPerAgent = 4;

}  // namespace

Result<std::string> issuer_of(std::string_view jwt)
{
    if (jwt.size() > 8192) return fail(Errc::invalid, "client_assertion is longer than 8 KiB");
    auto text = platform::jwt_claims_unverified(jwt);
    if (!text) return fail("client_assertion", text.error());
    auto claims = parse_json(*text, {8192, 8});
    if (!claims) return fail("client_assertion", claims.error());
    const std::string& issuer = (*claims)["iss"].as_string();
    if (issuer.empty() || issuer.size() > 100) return fail(Errc::invalid, "client_assertion: 'iss' is missing");
    return issuer;
}

Result<Assertion> verify_assertion(std::string_view jwt, std::string_view public_key, const std::set<std::string>& audiences, WallTime now)
{
    auto text = platform::verify_jwt(public_key, jwt);
    if (!text) return fail("client_assertion", text.error());
    auto claims = parse_json(*text, {8192, 8});
    if (!claims) return fail("client_assertion", claims.error());
    Fields fields(*claims, "client_assertion");
    fields.ignore_unknown();
    Assertion out;
    out.agent = fields.text("iss");
    if (fields.text("sub") != out.agent) fields.mistake("sub", "must equal 'iss'");
    const std::string audience = fields.text("aud");
    if (!audiences.contains(audience)) fields.mistake("aud", fmt::format("is '{}', expected {}", audience, audiences.empty() ? "" : *audiences.rbegin()));
    const std::int64_t seconds = now.microseconds / 1'000'000;
    const std::int64_t until = fields.integer("exp", 0, INT64_MAX);
    if (until + kSlack < seconds) fields.mistake("exp", fmt::format("is {} s in the past: the machine's clock is behind, or the request was held up", seconds - until));
    if (until > seconds + kLongestAssertion + kSlack)
        fields.mistake("exp", fmt::format("is {} s ahead, at most {} are allowed: the machine's clock is ahead", until - seconds, kLongestAssertion));
    out.made = WallTime{(std::min(until, seconds + kLongestAssertion + kSlack) - kLongestAssertion) * 1'000'000};
    out.jti = fields.text("jti");
    if (out.jti.size() > 200) fields.mistake("jti", "is longer than 200 characters");
    out.counter = static_cast<std::uint64_t>(fields.integer("ctr", 1, INT64_MAX));
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

AgentSessions::Grant AgentSessions::grant(const std::string& agent, const std::string& jti, WallTime issued)
{
    const std::string seed = fmt::format("{}\n{}\n{}", agent, jti, issued.microseconds);
    const std::string id = to_hex(platform::hmac_sha256(key_, "id\n" + seed)).substr(0, 12);
    Grant out{fmt::format("mw_agent_{}_{}", id, to_hex(platform::hmac_sha256(key_, "secret\n" + seed))), 0};
    const WallTime expires = issued + kSessionLife, now = clock_.now();
    out.expires_in = std::max<std::int64_t>(0, (expires - now).count() / 1'000'000);
    if (now >= expires) return out;
    const std::scoped_lock lock(mutex_);
    by_id_[id] = Session{agent, platform::sha256(out.token), expires};
    auto& mine = of_agent_[agent];
    if (std::find(mine.begin(), mine.end(), id) == mine.end()) mine.push_back(id);
    while (mine.size() > kPerAgent) {
        by_id_.erase(mine.front());
        mine.erase(mine.begin());
    }
    return out;
}

Result<std::string> AgentSessions::authenticate(std::string_view text)
{
    const auto token = protocol::parse_token(text);
    if (!token || token->kind != "agent") return fail(Errc::denied, "an agent's access token is needed (POST /agent/v1/token)");
    const std::scoped_lock lock(mutex_);
    const auto found = by_id_.find(token->id);
    if (found == by_id_.end() || !platform::equal_constant_time(found->second.sha256, platform::sha256(text)))
        return fail(Errc::denied, "the session is not known (any more): ask for another token");
    if (clock_.now() >= found->second.expires) return fail(Errc::denied, "the session is over: ask for another token");
    return found->second.agent;
}

void AgentSessions::end(const std::string& agent)
{
    const std::scoped_lock lock(mutex_);
    const auto mine = of_agent_.find(agent);
    if (mine == of_agent_.end()) return;
    for (const auto& id : mine->second) by_id_.erase(id);
    of_agent_.erase(mine);
}

}  // namespace mill::factory
