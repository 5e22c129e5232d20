// workflows/duration.h -- durations as the DSL writes them: {days, hours, minutes, seconds, milliseconds} or ISO 8601.
#pragma once

#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace mill::workflows {

/// "PT1H30M", "P1DT2.5S", "P2W"; no months and no years (their length varies). Errors: invalid.
Result<Milliseconds> parse_iso_duration(std::string_view text);

/// An object of numbers, or an ISO 8601 string. Errors: invalid (negative, unknown key, over 10,000 days).
Result<Milliseconds> duration_of(const Json& value);

}  // namespace mill::workflows
