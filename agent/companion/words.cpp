#include "agent/companion/words.h"

#include <fmt/format.h>

#include "platform/base/printable.h"
#include "platform/local_time.h"

namespace mill::companion {

std::string short_line(std::string_view text, std::size_t most)
{
    const std::string line = one_line(text);
    std::size_t at = 0, count = 0;
    while (at < line.size() && count < most) {
        (void)next_code_point(line, at);
        ++count;
    }
    return at >= line.size() ? line : line.substr(0, at) + "…";
}

std::string time_of_day(std::string_view time)
{
    const auto read = parse_time(time);
    if (!read) return {};
    const int minute = platform::local_time(*read).minute;
    return fmt::format("{:02}:{:02}", minute / 60, minute % 60);
}

std::string duration_words(Language language, std::int64_t milliseconds)
{
    const std::int64_t seconds = milliseconds < 1000 ? 1 : milliseconds / 1000;
    const auto [key, number] = seconds < 90      ? std::pair<std::string_view, std::int64_t>("duration.s", seconds)
                               : seconds < 5400  ? std::pair<std::string_view, std::int64_t>("duration.min", (seconds + 30) / 60)
                               : seconds < 86400 ? std::pair<std::string_view, std::int64_t>("duration.h", (seconds + 1800) / 3600)
                                                 : std::pair<std::string_view, std::int64_t>("duration.d", (seconds + 43200) / 86400);
    return say(language, key, {{"n", std::to_string(number)}});
}

}  // namespace mill::companion
