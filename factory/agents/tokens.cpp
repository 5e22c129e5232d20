#include "factory/agents/tokens.h"

#include <fmt/format.h>

#include "platform/crypto.h"

namespace mill::factory {

constexpr std::size_t kCached = 4096;

Identity identity_of(const TokenRecord& record)
{
    Identity out{record.kind, record.id, record.subject, Role::none};
    if (record.kind == "admin") out.role = Role::admin;
    if (record.kind == "user") out.role = parse_role(record.scope["role"].as_string()).value_or(Role::none);
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

Result<Identity> Tokens::authenticate(std::string_view text)
{
    auto token = protocol::parse_token(text);
    if (!token) return fail(Errc::invalid, "the token is not of the form mw_KIND_ID_SECRET");
    if (token->kind != "admin" && token->kind != "user" && token->kind != "trigger" && token->kind != "env")
        return fail(Errc::denied, fmt::format("a token of kind '{}' is of no use here", token->kind));
    auto stored = record(token->id);
    if (!stored && stored.error().code == Errc::not_found)
        return fail(Errc::denied, fmt::format("token {} is not known: it was ended, or belongs to another factory", token->id));
    if (!stored) return fail(std::move(stored.error()));
    if (stored->kind != token->kind || !platform::equal_constant_time(stored->sha256, platform::sha256(text)))
        return fail(Errc::denied, fmt::format("token {} is wrong", token->id));
    if (stored->expires && clock_.now() >= *stored->expires)
        return fail(Errc::denied, fmt::format("token {} expired at {}", token->id, format_time(*stored->expires)));
    core_.touch_token(token->id);
    return identity_of(*stored);
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
