// platform/base/text.h -- small questions about text that several rooms ask.
#pragma once

#include <string>
#include <string_view>

namespace mill {

/// `*` in the pattern stands for any run of characters, `?` for one. Takes at most pattern × text steps, whatever the input.
bool matches_pattern(std::string_view pattern, std::string_view text);

/// A to Z become small; nothing else changes.
std::string lower_case(std::string_view ascii);
std::string upper_case(std::string_view ascii);

/// A member's name as one token of a JSON pointer (RFC 6901).
std::string escape_pointer(std::string_view key);

}  // namespace mill
