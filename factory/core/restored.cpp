#include "factory/core/restored.h"

#include <algorithm>
#include <cstdlib>

#include "factory/store/store.h"
#include "factory/store/writer.h"

namespace mill::factory::core {
namespace {

Status write_mark(Writer& writer, WallTime known_to, WallTime now)
{
    const auto kept = writer.read().setting("epoch");
    if (!kept) return fail(kept.error());
    const std::uint64_t epoch = next_epoch(std::strtoull(kept->c_str(), nullptr, 10), now);
    if (auto ok = writer.put_setting("epoch", std::to_string(epoch)); !ok) return ok;
    if (auto ok = writer.put_setting("hold", dump_json(hold_text(epoch, now, known_to, "was restored", {}))); !ok) return ok;
    const auto triggers = writer.read().documents("Trigger");
    if (!triggers) return fail(triggers.error());
    for (const Document& trigger : *triggers) {
        auto schedule = writer.schedule(trigger.uid);
        if (!schedule) return fail(schedule.error());
        if (!*schedule) continue;
        (*schedule)->considered = std::max((*schedule)->considered, now);
        if (auto ok = writer.put_schedule(trigger.uid, **schedule); !ok) return ok;
    }
    const Json detail = Json::object({{"epoch", epoch}, {"lostFrom", format_time(known_to)}});
    if (auto ok = writer.audit({.id = 0, .time = now, .who = "millwright-factory restore", .remote = {}, .action = "restore", .kind = "Store", .subject = "store", .detail = detail});
        !ok)
        return ok;
    writer.skip_feed();
    if (const auto row = writer.append_feed({.time = now, .kind = "store", .subject = "store", .what = "restored", .agent = {}, .reason = {}, .detail = detail}); !row)
        return fail(row.error());
    return {};
}

}  // namespace

Json hold_text(std::uint64_t epoch, WallTime since, WallTime known_to, const std::string& how, const std::set<std::string>& released)
{
    Json list = Json::array();
    for (const std::string& name : released) list.push(Json(name));
    return Json::object({{"epoch", epoch}, {"since", format_time(since)}, {"knownTo", format_time(known_to)}, {"how", how}, {"released", std::move(list)}});
}

std::uint64_t next_epoch(std::uint64_t epoch, WallTime now) { return std::max(epoch + 1, static_cast<std::uint64_t>(now.microseconds / 1'000'000)); }

Status mark_restored(const std::string& folder, WallTime known_to, Clock& clock)
{
    auto store = open_store(folder);
    if (!store) return fail(store.error());
    Writer& writer = (*store)->writer();
    if (auto ok = writer.begin(); !ok) return ok;
    if (auto ok = write_mark(writer, known_to, clock.now()); !ok) {
        writer.rollback();
        return ok;
    }
    return writer.commit();
}

}  // namespace mill::factory::core
