// factory/http/detail/connection.h -- one connection: requests one after the other, each phase with its own deadline.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <limits>
#include <optional>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "factory/http/detail/deadline.h"
#include "factory/http/detail/message.h"
#include "factory/http/detail/shared.h"
#include "factory/http/detail/text.h"

namespace mill::factory::detail {

/// Thread: all members run on the connection's strand, but for the `post_` ones.
template <class Stream>
class Connection final : public Peer, public std::enable_shared_from_this<Connection<Stream>> {
public:
    Connection(std::shared_ptr<Shared> shared, Socket socket, std::string remote)
        : shared_(std::move(shared)), remote_(std::move(remote)), stream_(std::move(socket), shared_->tls.get()), deadline_(stream_.raw().get_executor())
    {
    }
    ~Connection() override
    {
        {
            const std::scoped_lock lock(shared_->mutex);
            shared_->peers.erase(this);
        }
        shared_->release(remote_);
    }

    void start()
    {
        arm(shared_->options.header_deadline);
        stream_.async_handshake([self = this->shared_from_this()](ErrorCode error) {
            if (error || self->shared_->stopping) return self->close();
            self->next_request();
        });
    }

    void post_reply(HttpReply reply) override
    {
        post([this, reply = std::move(reply)]() mutable {
            if (phase_ == Phase::handling) write_reply(std::move(reply), keep_alive_ && !gone_);
        });
    }
    void post_stream(HttpReply head) override
    {
        post([this, head = std::move(head)]() mutable {
            if (phase_ == Phase::handling) begin_stream(std::move(head));
        });
    }
    void post_piece(std::string piece) override
    {
        post([this, piece = std::move(piece)]() mutable {
            if (phase_ != Phase::streaming) return;
            pieces_.push_back(std::move(piece));
            write_pieces();
        });
    }
    void post_end() override
    {
        post([this] {
            if (phase_ != Phase::streaming) return;
            end_wanted_ = true;
            write_pieces();
        });
    }
    void post_dropped() override
    {
        post([this] {
            if (phase_ != Phase::handling) return;
            if (gone_) return close();
            write_reply(problem_reply(500, "Internal Server Error", "the call was not answered"), keep_alive_);
        });
    }
    void post_call(std::function<void()> function) override { post(std::move(function)); }
    void post_stop() override
    {
        post([this] {
            if (phase_ == Phase::handling) {
                write_reply(problem_reply(503, "Service Unavailable", "the factory is stopping; try again"), false);
                if (const auto link = link_.lock()) link->notify_gone();
            } else if (phase_ == Phase::writing) {
                keep_alive_ = false;
            } else {
                gone();
                close();
            }
        });
    }

    /// By the deadline's timer.
    void expired()
    {
        ErrorCode ignored;
        switch (phase_) {
        case Phase::header:
        case Phase::body:  // the read under way uses our buffer: it ends first, then read_failed answers
            timed_out_ = true;
            stream_.raw().cancel(ignored);
            return;
        case Phase::handling: return;
        default: gone(); close();
        }
    }

private:
    enum class Phase { handshake, idle, header, body, handling, writing, streaming, lingering, closed };

    template <class Function> void post(Function function)
    {
        if (shared_->stopped) return;
        net::dispatch(stream_.raw().get_executor(), [self = this->shared_from_this(), function = std::move(function)]() mutable { function(); });
    }

    void arm(std::chrono::milliseconds wait) { deadline_.arm(wait, *this); }

    void next_request()
    {
        phase_ = Phase::idle;
        arm(shared_->options.idle_deadline);
        if (shared_->stopping) return close();
        if (buffer_.size() > 0 || stream_.buffered() || readable_) return read_header();
        buffer_ = {};  // nothing is held while idle
        watch();
    }

    // The one wait for something to read: the next request while idle, the peer's end while a call is parked.
    void watch()
    {
        if (watching_) return;
        watching_ = true;
        stream_.raw().async_wait(Socket::wait_read, [self = this->shared_from_this()](ErrorCode error) {
            self->watching_ = false;
            if (self->phase_ == Phase::closed) return;
            if (error) return self->close();
            if (self->phase_ == Phase::idle) return self->read_header();
            if (self->phase_ == Phase::handling || self->phase_ == Phase::streaming) return self->look();
            self->readable_ = true;
        });
    }
    void look()
    {
        switch (stream_.peek()) {
        case Peek::nothing: return watch();
        case Peek::data: readable_ = true; return;  // it wrote ahead: alive; its end shows when we write
        case Peek::closed:
            readable_ = true;
            gone();
            if (phase_ == Phase::streaming) close();
            return;
        case Peek::broken: gone(); return close();
        }
    }
    void gone()
    {
        if (gone_) return;
        gone_ = true;
        if (const auto link = link_.lock()) link->notify_gone();
    }

    void read_header()
    {
        readable_ = false;
        phase_ = Phase::header;
        arm(shared_->options.header_deadline);
        parser_.emplace();
        parser_->header_limit(static_cast<std::uint32_t>(shared_->options.header_limit));
        parser_->body_limit(std::numeric_limits<std::uint64_t>::max());  // decided below, when the path is known
        http::async_read_header(stream_.stream(), buffer_, *parser_, [self = this->shared_from_this()](ErrorCode error, std::size_t) {
            if (self->phase_ != Phase::header) return;
            if (error) return self->read_failed(error);
            self->header_read();
        });
    }
    void header_read()
    {
        const auto& request = parser_->get();
        const std::string_view target(request.target().data(), request.target().size());
        auto read = read_target(target);
        if (!read) return refuse(400, "Bad Request", read.error().what);
        call_ = HttpCall();
        call_.method = std::string(request.method_string());
        call_.path = std::move(read->path);
        call_.query = std::move(read->query);
        if (request[http::field::host].empty() && request.version() >= 11) return refuse(400, "Bad Request", "the request names no Host");
        const std::size_t limit = shared_->options.body_limit ? shared_->options.body_limit(call_.method, call_.path) : std::size_t(1024 * 1024);
        const auto length = parser_->content_length();
        if (length && *length > limit) return refuse_body(limit);
        body_limit_ = limit;
        parser_->body_limit(limit);
        if (parser_->is_done()) return handle();
        phase_ = Phase::body;
        // A floor of 256 KiB a second on top of the fixed time, so that large uploads over slow lines are not cut off.
        arm(shared_->options.body_deadline + std::chrono::milliseconds((length ? *length : limit) / 256));
        if (request[http::field::expect].size() > 0 && buffer_.size() == 0) return say_continue();
        read_body();
    }
    void say_continue()
    {
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        net::async_write(stream_.stream(), net::buffer(kContinue.data(), kContinue.size()), [self = this->shared_from_this()](ErrorCode error, std::size_t) {
            if (self->phase_ != Phase::body) return;
            if (error) return self->close();
            self->read_body();
        });
    }
    void read_body()
    {
        http::async_read(stream_.stream(), buffer_, *parser_, [self = this->shared_from_this()](ErrorCode error, std::size_t) {
            if (self->phase_ != Phase::body) return;
            if (error) return self->read_failed(error);
            self->handle();
        });
    }
    void read_failed(ErrorCode error)
    {
        if (timed_out_) return refuse(408, "Request Timeout", phase_ == Phase::header ? "the request's header did not arrive in time" : "the request's body did not arrive in time");
        if (error == http::error::header_limit || error == http::error::buffer_overflow)
            return refuse(431, "Request Header Fields Too Large", "the request's header is larger than " + std::to_string(shared_->options.header_limit) + " bytes");
        if (error == http::error::body_limit) return refuse_body(body_limit_);
        if (error == http::error::end_of_stream || error == http::error::partial_message || error.category() != http::make_error_code(http::error::bad_method).category())
            return close();  // the peer went away
        refuse(400, "Bad Request", "not an HTTP request: " + error.message());
    }
    void refuse_body(std::size_t limit)
    {
        refuse(413, "Payload Too Large", "the body of this request may have at most " + std::to_string(limit) + " bytes");
    }
    /// An answer to a request that was not read whole: the rest is read and thrown away for a while, so that the peer sees the answer.
    void refuse(int status, std::string_view title, std::string_view detail)
    {
        head_request_ = false;
        linger_ = true;
        link_.reset();
        phase_ = Phase::handling;
        write_reply(problem_reply(status, title, detail), false);
    }

    void handle()
    {
        auto& request = parser_->get();
        take_headers(request, call_);
        call_.body = std::move(request.body());
        call_.remote = remote_;
        call_.tls = Stream::kTls;
        keep_alive_ = request.keep_alive() && !shared_->stopping;
        http10_ = request.version() < 11;
        head_request_ = request.method() == http::verb::head;
        parser_.reset();
        if (buffer_.size() == 0) buffer_ = {};  // nothing is held while parked
        phase_ = Phase::handling;
        deadline_.disarm();
        auto link = std::make_shared<ServerLink>(this->shared_from_this());
        link_ = link;
        Responder responder(std::move(link));
        shared_->handler(std::move(call_), std::move(responder));
        call_ = HttpCall();
        if (phase_ == Phase::handling || phase_ == Phase::streaming) {
            if (buffer_.size() == 0 && !readable_) watch();
        }
    }

    void write_reply(HttpReply reply, bool keep_alive)
    {
        phase_ = Phase::writing;
        keep_alive_ = keep_alive;
        out_ = reply_head(reply, Framing::length, reply.body.size(), keep_alive, reason(reply.status));
        out_body_.clear();
        if (!head_request_) {
            if (reply.body.size() <= 64 * 1024) out_ += reply.body;
            else out_body_ = std::move(reply.body);
        }
        arm(shared_->options.write_deadline + std::chrono::milliseconds(out_body_.size() / 256));
        write_out([this] { after_reply(); });
    }
    template <class Then> void write_out(Then then)
    {
        writing_ = true;
        const std::array<net::const_buffer, 2> both{net::buffer(out_), net::buffer(out_body_)};
        net::async_write(stream_.stream(), both, [self = this->shared_from_this(), then](ErrorCode error, std::size_t) {
            self->writing_ = false;
            if (self->phase_ == Phase::closed) return;
            if (error) {
                self->gone();
                return self->close();
            }
            then();
        });
    }
    void after_reply()
    {
        out_ = {};
        out_body_ = {};
        if (linger_) return linger();
        if (!keep_alive_ || gone_) return close();
        next_request();
    }

    void begin_stream(HttpReply head)
    {
        phase_ = Phase::streaming;
        end_wanted_ = false;
        out_ = reply_head(head, http10_ ? Framing::until_close : Framing::chunked, 0, !http10_ && keep_alive_,
            reason(head.status));
        if (http10_) keep_alive_ = false;
        if (!head.body.empty()) out_ += http10_ ? head.body : chunk(head.body);
        arm(shared_->options.write_deadline);
        write_out([this] { write_pieces(); });
    }
    void write_pieces()
    {
        if (writing_) return;
        out_.clear();
        std::size_t taken = 0;
        while (!pieces_.empty() && out_.size() < 64 * 1024) {
            taken += pieces_.front().size();
            out_ += http10_ ? pieces_.front() : chunk(pieces_.front());
            pieces_.pop_front();
        }
        if (taken > 0) {
            if (const auto link = link_.lock()) link->written(taken);
        }
        if (out_.empty()) {
            deadline_.disarm();
            if (!end_wanted_) return;
            phase_ = Phase::writing;
            if (!http10_) out_ = "0\r\n\r\n";
            arm(shared_->options.write_deadline);
            return write_out([this] { after_reply(); });
        }
        arm(shared_->options.write_deadline);
        write_out([this] { write_pieces(); });
    }

    void linger()
    {
        phase_ = Phase::lingering;
        stream_.say_goodbye();
        ErrorCode ignored;
        stream_.raw().shutdown(Socket::shutdown_send, ignored);
        buffer_ = {};
        out_.resize(64 * 1024);
        lingered_ = 0;
        arm(std::chrono::seconds(2));
        discard();
    }
    void discard()
    {
        stream_.raw().async_read_some(net::buffer(out_), [self = this->shared_from_this()](ErrorCode error, std::size_t bytes) {
            if (self->phase_ != Phase::lingering) return;
            self->lingered_ += bytes;
            if (error || self->lingered_ > 64 * 1024 * 1024 || self->shared_->stopping) return self->close();
            self->discard();
        });
    }
    void close()
    {
        if (phase_ == Phase::closed) return;
        const bool polite = phase_ == Phase::writing || phase_ == Phase::idle || phase_ == Phase::lingering;
        phase_ = Phase::closed;
        deadline_.cancel();
        if (polite && !linger_) stream_.say_goodbye();
        ErrorCode ignored;
        if (polite) stream_.raw().shutdown(Socket::shutdown_both, ignored);
        stream_.raw().close(ignored);
        pieces_.clear();  // buffer and parser stay: a read that was cut off may still look at them
    }

    std::shared_ptr<Shared> shared_;  // first: the context outlives the socket
    std::string remote_;
    Stream stream_;
    Deadline deadline_;
    Phase phase_ = Phase::handshake;
    bool watching_ = false, readable_ = false, writing_ = false;
    bool keep_alive_ = true, http10_ = false, head_request_ = false, gone_ = false, linger_ = false, end_wanted_ = false, timed_out_ = false;
    boost::beast::flat_buffer buffer_;
    std::optional<Parser> parser_;
    std::size_t body_limit_ = 0, lingered_ = 0;
    HttpCall call_;
    std::weak_ptr<ServerLink> link_;
    std::string out_, out_body_;
    std::deque<std::string> pieces_;
};

}  // namespace mill::factory::detail
