// platform/channel.h -- a pair of ends that carry whole messages between two processes of one machine.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/result.h"

namespace mill::platform {

/// An open operating-system object that may ride on a message (a file, a channel's end). Closes it when destroyed.
class Handle {
public:
    Handle() = default;
    explicit Handle(int native) : native_(native) {}
    Handle(Handle&& other) noexcept : native_(std::exchange(other.native_, -1)) {}
    Handle& operator=(Handle&& other) noexcept;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle();
    bool valid() const { return native_ >= 0; }
    int native() const { return native_; }      ///< for platform/ only
    int release() { return std::exchange(native_, -1); }
    Handle duplicate() const;

private:
    int native_ = -1;
};

struct Message {
    std::string text;
    Handle handle;  ///< valid when one came along
};

/// Messages of at most kMaxMessage bytes, whole and in order (SOCK_SEQPACKET pieces on Linux, so that a reader that is
/// killed between two messages loses none of the next). One thread sends and one (possibly another) receives at a time.
class Channel {
public:
    static constexpr std::size_t kMaxMessage = 20 * 1024 * 1024;

    static Result<std::pair<Channel, Channel>> pair();
    /// Takes over an inherited end, such as descriptor 3 of a runner.
    static Channel from(Handle handle);

    Channel() = default;
    bool valid() const { return handle_.valid(); }
    Handle take_handle() && { return std::move(handle_); }
    const Handle& handle() const { return handle_; }

    /// Blocks while the peer's buffer is full. Errors: unavailable (peer gone), too_large, cancelled, timeout.
    Status send(std::string_view text, const Handle* along = nullptr, std::stop_token stop = {},
                std::optional<std::chrono::milliseconds> wait = {});
    /// Nothing when `wait` is over (no wait: blocks). Errors: unavailable (peer gone: "closed"), cancelled, corrupt.
    Result<std::optional<Message>> receive(std::optional<std::chrono::milliseconds> wait = {}, std::stop_token stop = {});

private:
    explicit Channel(Handle handle) : handle_(std::move(handle)) {}
    Handle handle_;
    std::string partial_;
    Handle partial_handle_;
    std::size_t awaited_ = 0;
    bool in_message_ = false;
};

/// Waits until one of `channels` (null entries are skipped) has something to receive or its peer is gone.
/// Returns its index, nothing when `wait` is over. Errors: cancelled.
Result<std::optional<std::size_t>> wait_any(const std::vector<const Channel*>& channels,
                                            std::optional<std::chrono::milliseconds> wait, std::stop_token stop = {});

/// As wait_any for handles of any kind (null and invalid ones are skipped): the indices of all that are ready, none when
/// `wait` is over. Errors: cancelled.
Result<std::vector<std::size_t>> wait_handles(const std::vector<const Handle*>& handles, std::optional<std::chrono::milliseconds> wait,
                                              std::stop_token stop = {});

}  // namespace mill::platform
