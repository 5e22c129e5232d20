#include "agent/self/disk_room.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/log.h"

namespace mill::agent {
namespace {

constexpr std::chrono::seconds kLook{5};

std::uint64_t end_of_attempt(std::uint64_t total)
{
    return std::min<std::uint64_t>(protocol::kMaxStateEventBytes, total / 32);
}

}  // namespace

std::string short_of_room(const Room& room, const Config& config, const std::string& folder, bool was_short)
{
    if (room.journals > config.journal_quota.bytes)
        return fmt::format("{} of reports wait on this disk, more than the {} that config.yaml allows (quotas: journal); the factory has to take some first",
                           format_bytes({room.journals}), format_bytes(config.journal_quota));
    std::uint64_t wanted = std::min(config.keep_free.bytes, room.disk.total / 16) + end_of_attempt(room.disk.total) * (room.held + 1);
    if (was_short) wanted += wanted / 4;
    if (room.disk.free >= wanted) return {};
    return fmt::format("disk: {} free under {}, and {} are kept free for reports (quotas: keepFree)", format_bytes({room.disk.free}), folder, format_bytes({wanted}));
}

void watch_room(const std::string& folder, const Config& config, const std::function<std::uint64_t()>& journals, Slots& slots, const Clock& clock, std::stop_token stop)
{
    bool was_short = false;
    do {
        const auto disk = platform::disk_space(folder);
        if (!disk) continue;  // said by the journal when it matters
        std::string why = short_of_room({*disk, slots.taken(), journals()}, config, folder, was_short);
        if (why.empty() == was_short) {
            if (why.empty()) log::info("disk", "there is room again: new jobs are taken");
            else log::warning("disk", "no new jobs: {}", why);
        }
        was_short = !why.empty();
        slots.short_of(std::move(why));
    } while (clock.sleep(kLook, stop));
}

}  // namespace mill::agent
