// agent/keeper/peer.h -- a program at the other end of a channel: what to say to it waits here while it does not listen.
#pragma once

#include <deque>
#include <functional>
#include <optional>

#include "agent/keeper/messages.h"
#include "platform/channel.h"

namespace mill::keeper {

/// Never blocks: the keeper has one thread, and a peer that hangs must not hold up the others.
class Peer {
public:
    void open(platform::Channel channel);
    void close();
    bool is_open() const { return channel_.valid(); }
    const platform::Handle& handle() const { return channel_.handle(); }

    /// Sends now, or keeps the words (and a duplicate of `along`) until `flush` can.
    void say(const Words& words, const platform::Handle* along = nullptr);
    void flush();
    bool is_waiting() const { return !waiting_.empty(); }

    /// The next words, nothing when there are none now. Errors: unavailable (the peer is gone), corrupt.
    Result<std::optional<Words>> hear();

private:
    struct Item {
        std::string text;
        platform::Handle along;
    };
    platform::Channel channel_;
    std::deque<Item> waiting_;
};

}  // namespace mill::keeper
