#include <map>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"

namespace mill::factory::handler {
namespace {

Json holders_json(const std::vector<LockState::Holder>& holders)
{
    Json out = Json::array();
    for (const LockState::Holder& one : holders)
        out.push(Json::object({{"job", one.job}, {"trigger", one.trigger}, {"agent", one.agent}, {"since", format_time(one.since)}}));
    return out;
}

}  // namespace

void list_locks(Service& service, const CallPtr& call)
{
    service.core.locks([&service, call](Result<std::vector<LockState>> locks) {
        if (!passed(*call, locks)) return;
        std::erase_if(*locks, [&](const LockState& lock) { return !sees_environment(*call, lock.environment); });
        const auto reader = service.core.reader();
        std::map<std::string, std::string, std::less<>> oldest;   // trigger → since when its oldest job waits
        if (const auto waiting = reader->waiting())
            for (const WaitingCount& each : *waiting)
                if (const auto job = reader->job(each.oldest)) oldest[each.trigger] = format_time(job->created);
        Json items = Json::array();
        for (const LockState& lock : *locks) {
            Json waiting = Json::array();
            for (const LockState::Waiter& one : lock.waiting) {
                Json row = Json::object({{"trigger", one.trigger}, {"jobs", one.jobs}});
                if (const auto found = oldest.find(one.trigger); found != oldest.end()) row.set("since", found->second);
                waiting.push(std::move(row));
            }
            items.push(Json::object({{"name", lock.name}, {"environment", lock.environment}, {"slots", static_cast<std::int64_t>(lock.slots)},
                                     {"holders", holders_json(lock.holders)}, {"waiting", std::move(waiting)}}));
        }
        reply(*call, 200, Json::object({{"items", std::move(items)}}));
    });
}

}  // namespace mill::factory::handler
