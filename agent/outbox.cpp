#include "agent/outbox.h"

#include <utility>

#include "platform/channel_room.h"

namespace mill::agent {
namespace {

constexpr std::size_t kMostWaiting = 1'000, kMostWaitingBytes = 2 * platform::Channel::kMaxMessage;
constexpr std::chrono::seconds kReads{30};   // a runner that is busy with an expression does not read for a while

}  // namespace

bool Outbox::say(const platform::Channel& channel, std::string text, SteadyTime now)
{
    if (queue_.size() >= kMostWaiting || bytes_ + text.size() > kMostWaitingBytes) return false;
    if (queue_.empty()) moved_ = now;
    bytes_ += text.size();
    queue_.push_back(std::move(text));
    go_on(channel, now);
    return true;
}

void Outbox::go_on(const platform::Channel& channel, SteadyTime now)
{
    while (!queue_.empty()) {
        const std::size_t before = sent_;
        const auto through = platform::send_some(channel, queue_.front(), sent_, begun_);
        if (!through) return clear();   // a runner that is gone shows by its end; nothing more is to be done here
        if (*through || sent_ != before) moved_ = now;
        if (!*through) return;
        bytes_ -= queue_.front().size();
        queue_.pop_front();
        sent_ = 0;
        begun_ = false;
    }
}

std::optional<SteadyTime> Outbox::end() const
{
    return queue_.empty() ? std::nullopt : std::optional(moved_ + kReads);
}

void Outbox::clear()
{
    queue_.clear();
    bytes_ = sent_ = 0;
    begun_ = false;
}

}  // namespace mill::agent
