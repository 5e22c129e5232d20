// Any text as a cron expression and as a day off: refused with words, or with times and days that are in order.
#include <cstdint>
#include <string_view>

#include "factory/schedule/calendar.h"
#include "factory/schedule/cron.h"

using namespace mill;
using namespace mill::factory;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto rule = CronRule::parse(text); !rule) {
        check(!rule.error().what.empty(), "a refusal without words");
    } else {
        check(rule->first_from(0) >= 0, "a rule that fires at no time of day");
        const std::vector<int> times = rule->times();
        for (std::size_t i = 0; i < times.size(); ++i) check(times[i] >= 0 && times[i] < 86400 && (i == 0 || times[i] > times[i - 1]), "times out of order");
        LocalDay day{2024, 1, 1};
        for (int i = 0; i < 400; ++i, day = next_day(day)) (void)rule->on(day);
    }
    if (const auto days = DaysOff::parse(text); !days) {
        check(!days.error().what.empty(), "a refusal without words");
    } else {
        LocalDay day{2024, 1, 1};
        for (int i = 0; i < 400; ++i, day = next_day(day)) (void)days->has(day);
    }
    return 0;
}
