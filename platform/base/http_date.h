// platform/base/http_date.h -- the Date header of HTTP (RFC 9110).
#pragma once

#include <string_view>

#include "platform/base/clock.h"

namespace mill {

/// "Sun, 22 Nov 2026 14:09:36 GMT". Errors: invalid.
Result<WallTime> parse_http_date(std::string_view text);

}  // namespace mill
