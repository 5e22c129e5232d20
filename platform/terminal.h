// platform/terminal.h -- the person's terminal.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "platform/base/result.h"

namespace mill::platform {

enum class Stream { input = 0, output = 1, error = 2 };

bool is_terminal(Stream stream);
/// One line from standard input, without its end. `hidden` shows nothing of what is typed, from before `prompt` is called on: what is typed
/// at once is hidden, too. Blocks. Errors: cancelled (stop, or the input has ended).
Result<std::string> read_line(bool hidden, std::stop_token stop = {}, const std::function<void()>& prompt = {});
/// All of standard input. Blocks. Errors: too_large, unavailable, cancelled.
Result<std::string> read_input(std::size_t max_bytes, std::stop_token stop = {});

}  // namespace mill::platform
