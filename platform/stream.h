// platform/stream.h -- byte streams over TCP: a listener on loopback that may be handed to another process, connections, and what passes between two.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "platform/base/result.h"
#include "platform/channel.h"

namespace mill::platform {

/// One end of a connection; closes it when destroyed. Thread: one at a time.
class TcpStream {
public:
    TcpStream() = default;
    explicit TcpStream(Handle handle) : handle_(std::move(handle)) {}
    const Handle& handle() const { return handle_; }

    /// To a literal address, never a name. Errors: unavailable (nobody listens, no way), timeout, cancelled, invalid (no address).
    static Result<TcpStream> connect(const std::string& address, std::uint16_t port, std::chrono::milliseconds limit, std::stop_token stop = {});
    /// What has come, at most `most` bytes; empty when the other end sends no more. Errors: timeout, unavailable (broken), cancelled.
    Result<std::string> receive(std::size_t most, std::optional<std::chrono::milliseconds> wait, const std::stop_token& stop);
    /// All of it. Errors: timeout, unavailable (the other end is gone), cancelled.
    Status send(std::string_view bytes, std::optional<std::chrono::milliseconds> wait, const std::stop_token& stop);
    void end_sending();  ///< the other end reads to the end of what was sent, then an end

private:
    Handle handle_;
};

/// What went through, counted as it goes.
struct Passed {
    std::atomic<std::uint64_t> out{0}, in{0};
};

/// Passes on what `here` and `there` send to each other, each end by itself, until both have ended, one is broken, or a stop is requested.
/// `most`: of `here` so many bytes are passed on and then nothing more is read. Blocks, for as long as the two like.
void pass_between(TcpStream& here, TcpStream& there, std::optional<std::uint64_t> most, Passed& passed, const std::stop_token& stop);

/// Lets this process have more connections and files open than most need: as many as the system lets it, up to 65,536.
void allow_many_streams();

/// Accepts connections; may be shared with a process that means harm: what that one does to it costs this one's thread in `accept` at most.
class TcpListener {
public:
    /// On 127.0.0.1, in this process's network. Errors: unavailable (the port is taken, there is no loopback).
    static Result<Handle> open_on_loopback(std::uint16_t port);
    /// Takes over what somebody handed over. Errors: denied: it is anything but a TCP listener on 127.0.0.1:port; says what it is.
    static Result<TcpListener> take_over(Handle handle, std::uint16_t port);

    /// Waits for the next connection. Errors: cancelled, unavailable (it accepts no more).
    Result<TcpStream> accept(const std::stop_token& stop);
    /// Nobody accepts from it any more, not even who holds it, too; a thread in `accept` comes back. Thread: any.
    void end();

private:
    explicit TcpListener(Handle handle) : handle_(std::move(handle)) {}
    Handle handle_;
};

}  // namespace mill::platform
