// factory/notify/platform_text.h -- what chat platforms want of texts and names, on the way in and on the way out. Pure.
#pragma once

#include <string>
#include <string_view>

namespace mill::factory {

/// 1 to 200 of A-Z a-z 0-9 . _ : @ - and not of dots alone: it becomes a part of a path.
bool is_conversation_id(std::string_view id);

/// As Slack shows it: what a person said must not call a whole channel (<!channel>).
std::string slack_escaped(std::string_view text);

}  // namespace mill::factory
