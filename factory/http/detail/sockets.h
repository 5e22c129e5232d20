// factory/http/detail/sockets.h -- the two kinds of stream a connection can stand on: plain TCP, and TLS by OpenSSL on the same socket.
#pragma once

#include <cerrno>
#include <memory>
#include <utility>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace mill::factory::detail {

namespace net = boost::asio;
using Tcp = net::ip::tcp;
using Strand = net::strand<net::io_context::executor_type>;
using Socket = net::basic_stream_socket<Tcp, Strand>;
using ErrorCode = boost::system::error_code;

enum class Peek { nothing, data, closed, broken };

inline Peek peek_socket(int native)
{
    char byte;
    const ssize_t got = ::recv(native, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) return Peek::data;
    if (got == 0) return Peek::closed;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Peek::nothing : Peek::broken;
}

/// Plain TCP.
class PlainSocket {
public:
    static constexpr bool kTls = false;
    PlainSocket(Socket socket, SSL_CTX*) : socket_(std::move(socket)) {}
    Socket& raw() { return socket_; }
    Socket& stream() { return socket_; }
    bool buffered() const { return false; }
    Peek peek() { return peek_socket(socket_.native_handle()); }
    void say_goodbye() {}
    template <class Handler> void async_handshake(Handler handler) { net::post(socket_.get_executor(), [handler = std::move(handler)]() mutable { handler(ErrorCode()); }); }

private:
    Socket socket_;
};

/// TLS without buffers of its own: OpenSSL reads and writes the non-blocking socket and frees its record buffers while
/// nothing happens, so that a parked poll costs a few KiB (asio::ssl::stream keeps 68 KiB). Thread: the strand.
class TlsSocket {
public:
    static constexpr bool kTls = true;
    using executor_type = Socket::executor_type;

    TlsSocket(Socket socket, SSL_CTX* context) : socket_(std::move(socket)), ssl_(SSL_new(context))
    {
        if (ssl_) SSL_set_fd(ssl_.get(), socket_.native_handle());
    }
    executor_type get_executor() { return socket_.get_executor(); }
    Socket& raw() { return socket_; }
    TlsSocket& stream() { return *this; }
    bool buffered() const { return ssl_ && SSL_has_pending(ssl_.get()); }
    Peek peek();
    void say_goodbye()
    {
        if (ssl_ && SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }

    template <class Handler> void async_handshake(Handler handler)
    {
        start(std::move(handler), [](SSL* ssl, void*, int) { return SSL_accept(ssl); }, nullptr, 0);
    }
    template <class Buffers, class Token> auto async_read_some(const Buffers& buffers, Token&& token)
    {
        const auto buffer = first<net::mutable_buffer>(buffers);
        return net::async_compose<Token, void(ErrorCode, std::size_t)>(
            Operation<int (*)(SSL*, void*, int)>{*this, [](SSL* ssl, void* data, int size) { return SSL_read(ssl, data, size); }, buffer.data(),
                size_of(buffer.size())}, token, socket_);
    }
    template <class Buffers, class Token> auto async_write_some(const Buffers& buffers, Token&& token)
    {
        const auto buffer = first<net::const_buffer>(buffers);
        return net::async_compose<Token, void(ErrorCode, std::size_t)>(
            Operation<int (*)(SSL*, void*, int)>{*this, [](SSL* ssl, void* data, int size) { return SSL_write(ssl, data, size); },
                const_cast<void*>(buffer.data()), size_of(buffer.size())}, token, socket_);
    }

private:
    struct Free {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };
    /// One call of OpenSSL, repeated when the socket is ready; completes on the strand, never inside the starting call.
    template <class Call> struct Operation {
        TlsSocket& self;
        Call call;
        void* data;
        int size;
        int result = 0;
        ErrorCode failed{};
        bool started = false, done = false;

        template <class Self> void operator()(Self& operation, ErrorCode error = {})
        {
            if (done) return operation.complete(failed, result > 0 ? static_cast<std::size_t>(result) : 0);
            if (error) return operation.complete(error, 0);
            if (size == 0 && data) return finish(operation, {}, 0);
            ERR_clear_error();
            const int got = self.ssl_ ? call(self.ssl_.get(), data, size) : -1;
            if (got > 0) return finish(operation, {}, got);
            switch (self.ssl_ ? SSL_get_error(self.ssl_.get(), got) : SSL_ERROR_SSL) {
            case SSL_ERROR_WANT_READ: started = true; return self.socket_.async_wait(Socket::wait_read, std::move(operation));
            case SSL_ERROR_WANT_WRITE: started = true; return self.socket_.async_wait(Socket::wait_write, std::move(operation));
            case SSL_ERROR_ZERO_RETURN: return finish(operation, net::error::eof, 0);
            default: ERR_clear_error(); return finish(operation, net::error::connection_reset, 0);
            }
        }
        template <class Self> void finish(Self& operation, ErrorCode error, int bytes)
        {
            if (started) return operation.complete(error, static_cast<std::size_t>(bytes));
            done = true;
            failed = error;
            result = bytes;
            net::post(self.socket_.get_executor(), std::move(operation));
        }
    };
    template <class Handler> void start(Handler handler, int (*call)(SSL*, void*, int), void* data, int size)
    {
        auto adapted = [handler = std::move(handler)](ErrorCode error, std::size_t) mutable { handler(error); };
        net::async_compose<decltype(adapted), void(ErrorCode, std::size_t)>(Operation<int (*)(SSL*, void*, int)>{*this, call, data, size}, adapted, socket_);
    }
    template <class Buffer, class Buffers> static Buffer first(const Buffers& buffers)
    {
        for (auto it = net::buffer_sequence_begin(buffers); it != net::buffer_sequence_end(buffers); ++it)
            if (const Buffer buffer(*it); buffer.size() > 0) return buffer;
        return {};
    }
    static int size_of(std::size_t size) { return static_cast<int>(std::min<std::size_t>(size, 1 << 20)); }

    Socket socket_;
    std::unique_ptr<SSL, Free> ssl_;
};

inline Peek TlsSocket::peek()
{
    if (!ssl_) return Peek::broken;
    char byte;
    ERR_clear_error();
    const int got = SSL_peek(ssl_.get(), &byte, 1);
    if (got > 0) return Peek::data;
    switch (SSL_get_error(ssl_.get(), got)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return Peek::nothing;
    case SSL_ERROR_ZERO_RETURN: return Peek::closed;
    default: ERR_clear_error(); return Peek::broken;
    }
}

}  // namespace mill::factory::detail
