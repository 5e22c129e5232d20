// platform/channel_room.h -- sending on a channel for a thread that must not wait: as much as goes, and the rest when there is room.
#pragma once

#include "platform/channel.h"

namespace mill::platform {

/// Sends of `text` what the peer's buffer takes now; never blocks. True: all of it is sent. `sent` and `begun` (0 and false at first) say
/// how far it has come; nothing else may be sent before it is through, but the first piece of another message, which gives this one up.
/// Errors: unavailable (peer gone), too_large.
Result<bool> send_some(const Channel& channel, std::string_view text, std::size_t& sent, bool& begun);

/// As wait_any, and also until one of `room` can be sent on: its index then counts from the end of `channels` on.
Result<std::optional<std::size_t>> wait_any(const std::vector<const Channel*>& channels, const std::vector<const Channel*>& room,
                                            std::optional<std::chrono::milliseconds> wait, std::stop_token stop = {});

}  // namespace mill::platform
