// Locks: who holds one is who has it among its needs and has not ended. So a lock is taken with the row of the assignment, released with that of the
// end, and a store that is opened anew knows its holders; the board does the counting (factory/dispatch).
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"

namespace mill::factory::core {
namespace {

constexpr std::size_t kNamed = 3;   // holders in a sentence

}  // namespace

Json CoreImpl::both_locks(const Json& trigger, const Json& deployment)
{
    std::set<std::string> names;
    for (const Json* spec : {&trigger, &deployment})
        for (const Json& name : (*spec)["locks"].as_array()) names.insert(name.as_string());
    Json out = Json::array();
    for (const std::string& name : names) out.push(Json(name));
    return out;
}

std::vector<WhyReason> CoreImpl::why_locks(const KnownBinding& known) const
{
    std::vector<WhyReason> out;
    for (const std::string& name : known.needs.locks) {
        const dispatch::LockKey key(known.needs.environment, name);
        const auto lock = board_.locks().find(key);
        const std::uint32_t slots = board_.slots(key);
        if (lock == board_.locks().end() || lock->second.holders.size() < slots) continue;
        std::string text = fmt::format("waits for lock {}, held by ", name);
        std::size_t shown = 0;
        for (const JobKey job : lock->second.holders) {
            if (++shown > kNamed) {
                text += fmt::format(" and {} more", lock->second.holders.size() - kNamed);
                break;
            }
            const Active& active = active_.at(job);
            text += fmt::format("{}job {} of trigger {} since {}", shown > 1 ? ", " : "", active.uid, active.binding->binding.trigger, clock_text(active.assigned.value_or(active.created)));
        }
        if (slots > 1) text += fmt::format(" ({} at a time may)", slots);
        out.push_back({"lock_held", name, std::move(text), ""});
    }
    return out;
}

void CoreImpl::locks(Done<std::vector<LockState>> done)
{
    queue_.submit<std::vector<LockState>>(std::move(done), [this]() -> Result<std::vector<LockState>> {
        std::map<dispatch::LockKey, LockState> found;
        const auto state_of = [&](const dispatch::LockKey& key) -> LockState& {
            LockState& state = found[key];
            state.environment = key.first;
            state.name = key.second;
            state.slots = board_.slots(key);
            return state;
        };
        const auto environments = writer_.read().documents("Environment");
        if (!environments) return fail(environments.error());
        for (const Document& document : *environments)
            for (const auto& [name, slots] : document.spec["locks"].as_object()) state_of({document.name, name});
        for (const auto& [key, lock] : board_.locks()) {
            if (lock.holders.empty()) continue;
            LockState& state = state_of(key);
            for (const JobKey job : lock.holders) {
                const Active& active = active_.at(job);
                state.holders.push_back({active.uid, active.binding->binding.trigger, agents_.at(active.agent).record.name, active.assigned.value_or(active.created)});
            }
            std::stable_sort(state.holders.begin(), state.holders.end(), [](const LockState::Holder& a, const LockState::Holder& b) { return a.since < b.since; });
        }
        std::map<dispatch::LockKey, std::map<std::string, std::uint64_t>> waiting;   // by trigger: it may have jobs of several versions
        for (const auto& [id, ref] : bindings_) {
            if (!ref || ref->needs.locks.empty()) continue;
            const std::size_t jobs = board_.ready_count(id);
            if (jobs == 0) continue;
            for (const std::string& name : ref->needs.locks) waiting[{ref->needs.environment, name}][ref->binding.trigger] += jobs;
        }
        for (const auto& [key, triggers] : waiting) {
            LockState& state = state_of(key);
            for (const auto& [trigger, jobs] : triggers) state.waiting.push_back({trigger, jobs});
        }
        std::vector<LockState> out;
        for (auto& [key, state] : found) out.push_back(std::move(state));
        return out;
    });
}

}  // namespace mill::factory::core
