#include "agent/runner/sender.h"

#include <algorithm>

namespace mill::runner {
namespace {
constexpr std::size_t kFull = 4 * 1024 * 1024;
}

Sender::Sender(platform::Channel& channel, std::function<void()> drained)
    : channel_(channel), drained_(std::move(drained)), thread_([this](std::stop_token stop) { run(stop); })
{
}

Sender::~Sender() = default;

void Sender::close()
{
    {
        const std::scoped_lock lock(mutex_);
        broken_ = true;
        queue_.clear();
        bytes_ = 0;
    }
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
}

void Sender::send(std::string text, platform::Handle along)
{
    {
        const std::scoped_lock lock(mutex_);
        if (broken_) return;
        bytes_ += text.size();
        was_full_ = was_full_ || bytes_ > kFull;
        queue_.push_back({std::move(text), std::move(along)});
    }
    filled_.notify_one();
}

void Sender::replace(std::deque<std::string> texts)
{
    {
        const std::scoped_lock lock(mutex_);
        queue_.clear();
        bytes_ = 0;
        for (std::string& text : texts) {
            bytes_ += text.size();
            queue_.push_back({std::move(text), {}});
        }
    }
    filled_.notify_one();
}

bool Sender::full() const
{
    const std::scoped_lock lock(mutex_);
    return bytes_ > kFull;
}

void Sender::run(const std::stop_token& stop)
{
    for (;;) {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, stop, [&] { return !queue_.empty(); });
        if (stop.stop_requested()) return;
        const Item item = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        const Status sent = channel_.send(item.text, item.along.valid() ? &item.along : nullptr, stop);
        lock.lock();
        bytes_ -= std::min(bytes_, item.text.size());
        if (!sent) {
            broken_ = true;  // the receiving side of the loop sees the same end
            queue_.clear();
            bytes_ = 0;
            return;
        }
        const bool tell = was_full_ && bytes_ <= kFull / 2;
        if (tell) was_full_ = false;
        lock.unlock();
        if (tell && drained_) drained_();
    }
}

}  // namespace mill::runner
