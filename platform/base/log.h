// platform/base/log.h -- the program's own log: one line an entry, redacted in the sink. Job output is data, not log.
#pragma once

#include <string>
#include <string_view>

#include <fmt/core.h>

#include "platform/base/result.h"

namespace mill::log {

enum class Level { debug, info, warning, error };

/// The program's name in each line and the least level written; says it once, before other threads start.
/// Lines go to stderr: with a time when it is a terminal or file, with a "<N>" priority prefix under the journal.
void start(std::string_view program, Level least = Level::info);
void set_level(Level least);
Result<Level> parse_level(std::string_view text);

/// One line. Control characters become '?', so that outside text cannot forge lines; secrets known to `redact` become "***".
/// Thread: any.
void write(Level level, std::string_view room, std::string_view text);

template <class... Args> void debug(std::string_view room, fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::debug, room, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args> void info(std::string_view room, fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::info, room, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args> void warning(std::string_view room, fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::warning, room, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args> void error(std::string_view room, fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::error, room, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace mill::log
