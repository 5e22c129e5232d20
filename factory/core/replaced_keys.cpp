// Keys that agents changed for others. A thief who copies a key and changes it first leaves the owner with the old one: when that is proved again
// after the new one was used, two machines have had the key. Kept in the store's settings, one text for each agent that ever changed its key.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/encode.h"
#include "platform/fingerprint.h"

namespace mill::factory::core {
namespace {

constexpr std::size_t kReplacedKeysMost = 16;      // each costs one check of a signature for an assertion by a key that is not the agent's
constexpr std::chrono::hours kReplacedKeysFor{24}; // an owner asserts every hour: nobody can push its key out before it did

std::string setting_of(const std::string& agent)
{
    return "replaced-keys/" + agent;
}

std::string as_text(const std::vector<ReplacedKey>& keys)
{
    Json::Array out;
    for (const ReplacedKey& key : keys)
        out.push_back(Json::object({{"key", to_base64(key.public_key)}, {"time", key.time.microseconds}, {"used", key.other_used}}));
    return dump_json(Json(std::move(out)));
}

Result<std::vector<ReplacedKey>> known_keys(Reader& reader, const std::string& agent)
{
    std::vector<ReplacedKey> out;
    const auto text = reader.setting(setting_of(agent));
    if (!text && text.error().code == Errc::not_found) return out;
    if (!text) return fail(text.error());
    const auto json = parse_json(*text);
    if (!json) return fail("the store's " + setting_of(agent), json.error());
    for (const Json& one : json->as_array()) {
        auto key = from_base64(one["key"].as_string());
        if (!key) return fail("the store's " + setting_of(agent), key.error());
        out.push_back({std::move(*key), WallTime{one["time"].as_integer()}, one["used"].as_bool()});
    }
    return out;
}

}  // namespace

Status CoreImpl::remember_key(const Agent& agent)
{
    auto keys = known_keys(writer_.read(), agent.record.id);
    if (!keys) return fail(keys.error());
    const WallTime now = clock_.now();
    if (keys->size() >= kReplacedKeysMost && keys->back().time + kReplacedKeysFor > now)
        return fail(Errc::unavailable, fmt::format("agent '{}' changed its key {} times within {} hours: it may again at {}", agent.record.name, kReplacedKeysMost,
                                                   kReplacedKeysFor.count(), format_time(keys->back().time + kReplacedKeysFor)));
    keys->insert(keys->begin(), ReplacedKey{agent.record.public_key, now, false});
    if (keys->size() > kReplacedKeysMost) keys->pop_back();
    return writer_.put_setting(setting_of(agent.record.id), as_text(*keys));
}

Status CoreImpl::key_in_use(const Agent& agent)
{
    auto keys = known_keys(writer_.read(), agent.record.id);
    if (!keys) return fail(keys.error());
    if (keys->empty() || keys->front().other_used) return {};
    keys->front().other_used = true;
    return writer_.put_setting(setting_of(agent.record.id), as_text(*keys));
}

Status CoreImpl::forget_keys(const Agent& agent)
{
    const auto keys = known_keys(writer_.read(), agent.record.id);
    if (keys && keys->empty()) return {};
    return writer_.put_setting(setting_of(agent.record.id), "[]");   // what cannot be read, too
}

Result<std::vector<ReplacedKey>> CoreImpl::replaced_keys(const std::string& agent)
{
    return known_keys(*reader(), agent);
}

Status CoreImpl::freeze(Agent& agent, const Who& who, Json detail)
{
    agent.record.frozen = true;
    if (auto ok = keep(agent); !ok) return ok;
    Json all = Json::object({{"reason", "copied_key"}});
    for (const auto& [name, value] : detail.as_object()) all.set(name, value);
    if (auto ok = audit(who, "freeze", "Agent", agent.record.name, all); !ok) return ok;
    if (auto ok = tell_agent(agent, "frozen"); !ok) return ok;
    return feed({.time = clock_.now(), .kind = "agent", .subject = agent.record.name, .what = "frozen", .agent = {}, .reason = "copied_key", .detail = std::move(detail)});
}

void CoreImpl::replaced_key_used(ReplacedKeyUse use, Who who, Done<bool> done)
{
    queue_.submit<bool>(std::move(done), [=, this]() -> Result<bool> {
        const auto found = agent_by_id(use.agent);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        if (agent.record.frozen) return true;
        if (agent.record.public_key.empty()) return false;   // revoked: nobody gets in
        const auto keys = known_keys(writer_.read(), agent.record.id);
        if (!keys) return fail(keys.error());
        const auto old = std::find_if(keys->begin(), keys->end(), [&](const ReplacedKey& key) { return key.public_key == use.public_key; });
        if (old == keys->end() || !old->other_used || use.made <= old->time) return false;
        const std::string now_used = platform::fingerprint(agent.record.public_key);
        if (auto ok = freeze(agent, who, Json::object({{"keyBefore", platform::fingerprint(old->public_key)}, {"key", now_used}, {"changed", format_time(old->time)}})); !ok)
            return fail(ok.error());
        return true;
    });
}

}  // namespace mill::factory::core
