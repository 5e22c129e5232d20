// agent/companion/words.h -- outside text as it may stand in a notice or a menu, and times as a person says them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/companion/catalogue.h"

namespace mill::companion {

/// On one line, at most `most` characters.
std::string short_line(std::string_view text, std::size_t most = 60);
/// "14:05", of this machine's zone; empty: `time` is none.
std::string time_of_day(std::string_view time);
std::string duration_words(Language language, std::int64_t milliseconds);

}  // namespace mill::companion
