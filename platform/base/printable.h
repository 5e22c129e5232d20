// platform/base/printable.h -- outside text on a person's terminal, where control characters could move the cursor or forge lines.
#pragma once

#include <string>
#include <string_view>

namespace mill {

/// Text from outside on one line: control characters become '?', line ends become spaces.
std::string one_line(std::string_view text);
/// As above, keeping line ends and tabs.
std::string printable(std::string_view text);
/// Reads one code point of UTF-8 at `at` and moves on; bytes that are none count as one each (U+FFFD).
char32_t next_code_point(std::string_view text, std::size_t& at);

}  // namespace mill
