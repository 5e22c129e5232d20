// factory/http/detail/link.h -- one call as its handler sees it, and the connection behind it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "factory/http/server.h"

namespace mill::factory::detail {

/// What a connection does for its current call. Thread: any; each goes to the connection's strand.
class Peer {
public:
    virtual ~Peer() = default;
    virtual void post_reply(HttpReply reply) = 0;
    virtual void post_stream(HttpReply head) = 0;
    virtual void post_piece(std::string piece) = 0;
    virtual void post_end() = 0;
    virtual void post_dropped() = 0;  ///< nobody is left who could answer
    virtual void post_call(std::function<void()> function) = 0;
    virtual void post_stop() = 0;
};

inline constexpr std::size_t kStreamQueue = 1024 * 1024;  ///< bytes a slow reader of a stream may be behind

/// Shared by the copies of a Responder; the connection knows it weakly, so that the last copy's end is seen. Thread: any.
class ServerLink final : public Responder::Link {
public:
    explicit ServerLink(std::shared_ptr<Peer> peer) : peer_(std::move(peer)) {}
    ServerLink(const ServerLink&) = delete;
    ServerLink& operator=(const ServerLink&) = delete;
    ~ServerLink() override;

    void reply(HttpReply reply) override;
    bool start_stream(HttpReply head) override;
    bool send_piece(std::string piece) override;
    void end_stream() override;
    void on_gone(std::function<void()> gone) override;

    void notify_gone();                ///< by the connection, on a server thread
    void written(std::size_t bytes);   ///< of pieces, by the connection

private:
    std::shared_ptr<Peer> peer_;
    std::mutex mutex_;
    bool answered_ = false, streaming_ = false, ended_ = false, gone_ = false;
    std::size_t queued_ = 0;  ///< bytes of pieces not yet written
    std::function<void()> on_gone_;
};

}  // namespace mill::factory::detail
