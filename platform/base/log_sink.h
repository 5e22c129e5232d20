// platform/base/log_sink.h -- a second place for the program's log lines, such as the agent's log that its factory keeps.
#pragma once

#include <functional>
#include <string_view>

#include "platform/base/log.h"

namespace mill::log {

/// Called for every line that is written, redacted and without control characters; on the thread that wrote it, which must not log there.
using Sink = std::function<void(Level level, std::string_view room, std::string_view text)>;
/// Empty: none. When it returns, the one before is not called any more. Thread: any.
void set_sink(Sink sink);
std::string_view name(Level level);

}  // namespace mill::log
