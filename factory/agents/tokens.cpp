#include "factory/agents/tokens.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/crypto.h"

namespace mill::factory {

constexpr std::size_t kCached = 4096;
constexpr std::size_t kSaid = 8, kSignature = 24;   // bytes of an access token's secret: end and scopes, then their signature

Identity identity_of(const TokenRecord& record)
{
    Identity out{.kind = record.kind, .id = record.id, .subject = record.subject, .role = Role::none, .environments = {}, .scopes = Scopes::everything()};
    if (record.kind == "admin") out.role = Role::admin;
    if (record.kind == "user") out.role = parse_role(record.scope["role"].as_string()).value_or(Role::none);
    for (const Json& each : record.scope["environments"].as_array()) out.environments.push_back(each.as_string());
    if (const Json* words = record.scope.find("scopes")) {
        out.scopes = Scopes::nothing();
        for (const Json& each : words->as_array()) (void)out.scopes.add(each.as_string());   // a word of a later program opens nothing here
    }
    return out;
}

Result<TokenRecord> Tokens::record(const std::string& id)
{
    std::uint64_t seen = 0;
    {
        const std::scoped_lock lock(mutex_);
        if (const auto found = cache_.find(id); found != cache_.end()) return found->second;
        seen = changes_;
    }
    auto read = core_.reader()->token(id);
    if (!read) return read;
    const std::scoped_lock lock(mutex_);
    if (seen == changes_) {  // else it may have been ended while we read
        if (cache_.size() >= kCached) cache_.clear();
        cache_.emplace(id, *read);
    }
    return read;
}

void Tokens::forget(const std::string& id)
{
    const std::scoped_lock lock(mutex_);
    ++changes_;
    cache_.erase(id);
}

Result<TokenRecord> Tokens::valid_record(const std::string& id)
{
    auto stored = record(id);
    if (!stored && stored.error().code == Errc::not_found)
        return fail(Errc::denied, fmt::format("token {} is not known: it was ended, or belongs to another factory", id));
    if (stored && stored->expires && clock_.now() >= *stored->expires)
        return fail(Errc::denied, fmt::format("token {} expired at {}", id, format_time(*stored->expires)));
    return stored;
}

Result<Identity> Tokens::authenticate(std::string_view text)
{
    auto token = protocol::parse_token(text);
    if (!token) return fail(Errc::invalid, "the token is not of the form mw_KIND_ID_SECRET");
    if (token->kind == "access" && !key_.empty()) return authenticate_lent(*token);
    if (token->kind != "admin" && token->kind != "user" && token->kind != "trigger" && token->kind != "env")
        return fail(Errc::denied, fmt::format("a token of kind '{}' is of no use here", token->kind));
    auto stored = record(token->id);
    if (stored && (stored->kind != token->kind || !platform::equal_constant_time(stored->sha256, platform::sha256(text))))
        return fail(Errc::denied, fmt::format("token {} is wrong", token->id));
    stored = valid_record(token->id);
    if (!stored) return fail(std::move(stored.error()));
    core_.touch_token(token->id);
    return identity_of(*stored);
}

std::string Tokens::signature(std::string_view id, std::string_view said) const
{
    return platform::hmac_sha256(key_, fmt::format("{}:{}", id, said)).substr(0, kSignature);
}

Result<Tokens::Lent> Tokens::lend(const Identity& owner, Scopes scopes, std::chrono::seconds life)
{
    const auto stored = valid_record(owner.id);
    if (!stored) return fail(stored.error());
    const WallTime now = clock_.now();
    WallTime end = now + life;
    if (stored->expires) end = std::min(end, *stored->expires);
    const std::uint64_t both = static_cast<std::uint64_t>(end.microseconds / 1'000'000) << 32 | scopes.bits();
    std::string said;
    for (std::size_t i = 0; i < kSaid; ++i) said += static_cast<char>(both >> (8 * (kSaid - 1 - i)) & 0xff);
    return Lent{fmt::format("mw_access_{}_{}", owner.id, to_hex(said + signature(owner.id, said))), std::chrono::duration_cast<std::chrono::seconds>(end - now)};
}

Result<Identity> Tokens::authenticate_lent(const protocol::Token& token)
{
    const auto bytes = from_hex(std::string_view(token.text).substr(token.text.rfind('_') + 1));
    if (!bytes || bytes->size() != kSaid + kSignature || !platform::equal_constant_time(bytes->substr(kSaid), signature(token.id, bytes->substr(0, kSaid))))
        return fail(Errc::denied, "the access token is wrong");
    std::uint64_t both = 0;
    for (std::size_t i = 0; i < kSaid; ++i) both = both << 8 | static_cast<unsigned char>((*bytes)[i]);
    if (const WallTime end{static_cast<std::int64_t>(both >> 32) * 1'000'000}; clock_.now() >= end)
        return fail(Errc::denied, fmt::format("the access token expired at {}: fetch another at /oauth/token", format_time(end)));
    const auto stored = valid_record(token.id);   // it ends with the token that it was made of
    if (!stored) return fail(stored.error());
    core_.touch_token(token.id);
    Identity out = identity_of(*stored);
    out.scopes = Scopes::from_bits(out.scopes.bits() & static_cast<std::uint32_t>(both));
    out.ends = WallTime{static_cast<std::int64_t>(both >> 32) * 1'000'000};
    return out;
}

bool Tokens::still_valid(const std::string& id)
{
    const auto stored = record(id);
    if (!stored) return stored.error().code != Errc::not_found;
    return !stored->expires || clock_.now() < *stored->expires;
}

std::pair<protocol::Token, TokenRecord> Tokens::make(std::string_view kind, std::string_view subject, Json scope) const
{
    protocol::Token token = protocol::make_token(kind);
    TokenRecord record{.id = token.id, .kind = token.kind, .sha256 = platform::sha256(token.text), .subject = std::string(subject),
                       .scope = std::move(scope), .created = clock_.now(), .expires = {}, .last_used = {}};
    return {std::move(token), std::move(record)};
}

}  // namespace mill::factory
