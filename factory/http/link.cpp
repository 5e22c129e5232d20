#include "factory/http/detail/link.h"

#include <algorithm>

namespace mill::factory::detail {

ServerLink::~ServerLink()
{
    if (!answered_) peer_->post_dropped();
    else if (streaming_ && !ended_) peer_->post_end();
}

void ServerLink::notify_gone()
{
    std::function<void()> call;
    {
        const std::scoped_lock lock(mutex_);
        gone_ = true;
        call.swap(on_gone_);
    }
    if (call) call();
}

void ServerLink::reply(HttpReply reply)
{
    std::function<void()> dropped;  // destroyed outside the lock: it may hold a Responder
    {
        const std::scoped_lock lock(mutex_);
        if (answered_) return;
        answered_ = true;
        dropped.swap(on_gone_);
    }
    peer_->post_reply(std::move(reply));
}

bool ServerLink::start_stream(HttpReply head)
{
    {
        const std::scoped_lock lock(mutex_);
        if (answered_ || gone_) return false;
        answered_ = streaming_ = true;
    }
    peer_->post_stream(std::move(head));
    return true;
}

bool ServerLink::send_piece(std::string piece)
{
    if (piece.empty()) return true;  // an empty chunk would end the stream
    {
        const std::scoped_lock lock(mutex_);
        if (!streaming_ || ended_ || gone_) return false;
        if (queued_ + piece.size() > kStreamQueue && queued_ > 0) return false;
        queued_ += piece.size();
    }
    peer_->post_piece(std::move(piece));
    return true;
}

void ServerLink::end_stream()
{
    {
        const std::scoped_lock lock(mutex_);
        if (!streaming_ || ended_) return;
        ended_ = true;
    }
    peer_->post_end();
}

void ServerLink::on_gone(std::function<void()> gone)
{
    {
        const std::scoped_lock lock(mutex_);
        if (answered_ && !streaming_) return;
        if (!gone_) {
            on_gone_ = std::move(gone);
            return;
        }
    }
    peer_->post_call(std::move(gone));
}

void ServerLink::written(std::size_t bytes)
{
    const std::scoped_lock lock(mutex_);
    queued_ -= std::min(queued_, bytes);
}

}  // namespace mill::factory::detail
