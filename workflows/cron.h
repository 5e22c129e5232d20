// workflows/cron.h -- is this a cron expression? Five fields, as in crontab(5); nothing fires here.
#pragma once

#include <string_view>

#include "platform/base/result.h"

namespace mill::workflows {

/// Minute, hour, day of the month, month (or jan…dec), day of the week (0 to 7, or sun…sat); each `*`, a number, a range, a list,
/// with a step. Errors: invalid (names the field and what it takes).
Status check_cron(std::string_view text);

}  // namespace mill::workflows
