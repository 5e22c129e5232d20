// platform/base/mailbox.h -- the one thing that threads share: a queue of values with a bound.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace mill {

/// Values in, values out, in order. Thread: any.
template <class T>
class Mailbox {
public:
    explicit Mailbox(std::size_t capacity = 1024) : capacity_(capacity) {}

    /// Blocks while full. False when stopped or closed; the value is then dropped.
    bool send(T value, std::stop_token stop = {})
    {
        std::unique_lock lock(mutex_);
        if (!space_.wait(lock, stop, [&] { return closed_ || items_.size() < capacity_; }) || closed_) return false;
        items_.push_back(std::move(value));
        lock.unlock();
        filled_.notify_one();
        return true;
    }

    /// False when full or closed.
    bool try_send(T value)
    {
        {
            const std::scoped_lock lock(mutex_);
            if (closed_ || items_.size() >= capacity_) return false;
            items_.push_back(std::move(value));
        }
        filled_.notify_one();
        return true;
    }

    /// Blocks until there is a value; nothing when stopped, or closed and empty.
    std::optional<T> receive(std::stop_token stop = {})
    {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, stop, [&] { return closed_ || !items_.empty(); });
        return take(lock);
    }

    /// As receive, but gives up after `wait`.
    template <class Rep, class Period>
    std::optional<T> receive_for(std::chrono::duration<Rep, Period> wait, std::stop_token stop = {})
    {
        std::unique_lock lock(mutex_);
        filled_.wait_for(lock, stop, wait, [&] { return closed_ || !items_.empty(); });
        return take(lock);
    }

    /// All that is there now, possibly nothing; never blocks.
    std::deque<T> drain()
    {
        std::deque<T> out;
        {
            const std::scoped_lock lock(mutex_);
            out.swap(items_);
        }
        space_.notify_all();
        return out;
    }

    /// No further values; receivers get what is left.
    void close()
    {
        {
            const std::scoped_lock lock(mutex_);
            closed_ = true;
        }
        space_.notify_all();
        filled_.notify_all();
    }

    std::size_t size() const
    {
        const std::scoped_lock lock(mutex_);
        return items_.size();
    }

private:
    std::optional<T> take(std::unique_lock<std::mutex>& lock)
    {
        if (items_.empty()) return std::nullopt;
        std::optional<T> out(std::move(items_.front()));
        items_.pop_front();
        lock.unlock();
        space_.notify_one();
        return out;
    }

    mutable std::mutex mutex_;
    std::condition_variable_any filled_;
    std::condition_variable_any space_;
    std::deque<T> items_;
    std::size_t capacity_;
    bool closed_ = false;
};

}  // namespace mill
