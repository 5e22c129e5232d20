#include "agent/keeper/peer.h"

namespace mill::keeper {

using namespace std::chrono_literals;

void Peer::open(platform::Channel channel)
{
    channel_ = std::move(channel);
    waiting_.clear();
}

void Peer::close()
{
    channel_ = {};
    waiting_.clear();
}

void Peer::say(const Words& words, const platform::Handle* along)
{
    if (!is_open()) return;
    waiting_.push_back({encode(words), along != nullptr ? along->duplicate() : platform::Handle()});
    flush();
}

void Peer::flush()
{
    while (is_open() && !waiting_.empty()) {
        const Item& item = waiting_.front();
        const auto sent = channel_.send(item.text, item.along.valid() ? &item.along : nullptr, {}, 0ms);
        if (!sent && sent.error().code == Errc::timeout) return;
        waiting_.pop_front();  // a peer that is gone is noticed where we listen
    }
}

Result<std::optional<Words>> Peer::hear()
{
    auto message = channel_.receive(0ms);
    if (!message) return fail(message.error());
    if (!*message) return std::nullopt;
    auto words = decode((*message)->text);
    if (!words) return fail(words.error());
    return std::move(*words);
}

}  // namespace mill::keeper
