#include "factory/http/server.h"

#include <condition_variable>
#include <csignal>
#include <thread>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/address.hpp>
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include "factory/http/detail/connection.h"
#include "platform/base/log.h"

namespace mill::factory {
namespace {

using namespace detail;
using Acceptor = net::basic_socket_acceptor<Tcp, Strand>;

std::string tls_words()
{
    char text[256] = "unknown reason";
    if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return text;
}

Result<SSL_CTX*> make_tls(const HttpServerOptions& options)
{
    std::unique_ptr<SSL_CTX, Shared::Free> context(SSL_CTX_new(TLS_server_method()));
    if (!context) return fail(Errc::internal, "TLS: " + tls_words());
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.get(), 1);
    if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate_file.c_str()) != 1)
        return fail(Errc::invalid, fmt::format("certificate {}: {}", options.certificate_file, tls_words()));
    if (SSL_CTX_use_PrivateKey_file(context.get(), options.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        return fail(Errc::invalid, fmt::format("key {}: {}", options.key_file, tls_words()));
    if (SSL_CTX_check_private_key(context.get()) != 1)
        return fail(Errc::invalid, fmt::format("the key {} does not belong to the certificate {}", options.key_file, options.certificate_file));
    return context.release();
}

/// A peer that is gone without a word is found within 10 s, even where nobody writes.
void tune(Socket& socket)
{
    ErrorCode ignored;
    socket.native_non_blocking(true, ignored);
    socket.set_option(Tcp::no_delay(true), ignored);
    const int on = 1, idle = 3, interval = 2, count = 3;
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

/// Each agent holds a connection or two: the usual 1,024 descriptors would end at 500 agents.
void take_descriptors()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

class BeastServer final : public HttpServer {
public:
    explicit BeastServer(std::shared_ptr<Shared> shared)
        : shared_(std::move(shared)), strand_(net::make_strand(shared_->context)), acceptor_(strand_), timer_(strand_), work_(shared_->context.get_executor())
    {
    }
    ~BeastServer() override { stop(); }

    Status listen()
    {
        const HttpServerOptions& options = shared_->options;
        ErrorCode error;
        const auto address = net::ip::make_address(options.address, error);
        if (error) return fail(Errc::invalid, fmt::format("'{}' is not an address to listen on", options.address));
        const Tcp::endpoint endpoint(address, options.port);
        acceptor_.open(endpoint.protocol(), error);
        if (!error) acceptor_.set_option(net::socket_base::reuse_address(true), error);
        if (!error) acceptor_.bind(endpoint, error);
        if (!error) acceptor_.listen(4096, error);
        if (error) return fail(Errc::unavailable, fmt::format("cannot listen on {}:{}: {}", options.address, options.port, error.message()));
        port_ = acceptor_.local_endpoint(error).port();
        for (unsigned i = 0; i < std::max(1U, options.threads); ++i) {
            ++running_;
            threads_.emplace_back([this] { serve(); });
        }
        net::post(strand_, [this] { accept(); });
        return {};
    }

    std::uint16_t port() const override { return port_; }

    void stop() override
    {
        if (shared_->stopping.exchange(true)) return;
        net::post(strand_, [this] {
            ErrorCode ignored;
            acceptor_.close(ignored);
            timer_.cancel();
        });
        std::vector<std::shared_ptr<Peer>> peers;
        {
            const std::scoped_lock lock(shared_->mutex);
            for (const auto& [key, weak] : shared_->peers)
                if (auto peer = weak.lock()) peers.push_back(std::move(peer));
        }
        for (const auto& peer : peers) peer->post_stop();
        peers.clear();
        work_.reset();
        {
            std::unique_lock lock(mutex_);
            ended_.wait_for(lock, std::chrono::seconds(3), [this] { return running_ == 0; });
        }
        shared_->context.stop();
        threads_.clear();
        shared_->stopped = true;
        shared_->handler = nullptr;
    }

private:
    void serve()
    {
        for (;;) {
            try {
                shared_->context.run();
                break;
            } catch (const std::exception& error) {  // out of memory, or a handler that broke the rule: this call is lost, not the server
                log::error("http", "a call failed: {}", error.what());
            }
        }
        const std::scoped_lock lock(mutex_);
        --running_;
        ended_.notify_all();
    }

    void accept()
    {
        acceptor_.async_accept(net::make_strand(shared_->context), [this](ErrorCode error, Socket socket) {
            if (shared_->stopping) return;
            if (error) {  // no descriptors left, most likely: looking again at once would only burn the processor
                timer_.expires_after(std::chrono::milliseconds(100));
                timer_.async_wait([this](ErrorCode stopped) {
                    if (!stopped && !shared_->stopping) accept();
                });
                return;
            }
            welcome(std::move(socket));
            accept();
        });
    }
    void welcome(Socket socket)
    {
        ErrorCode error;
        const auto endpoint = socket.remote_endpoint(error);
        if (error) return;
        std::string remote = endpoint.address().to_string();
        if (!shared_->admit(remote)) return;  // closed: an answer would cost what the cap is to save
        tune(socket);
        if (shared_->tls) start<TlsSocket>(std::move(socket), std::move(remote));
        else start<PlainSocket>(std::move(socket), std::move(remote));
    }
    template <class Stream> void start(Socket socket, std::string remote)
    {
        const auto strand = socket.get_executor();
        auto connection = std::make_shared<Connection<Stream>>(shared_, std::move(socket), std::move(remote));
        {
            const std::scoped_lock lock(shared_->mutex);
            shared_->peers.emplace(connection.get(), connection);
        }
        net::dispatch(strand, [connection] { connection->start(); });
    }

    std::shared_ptr<Shared> shared_;
    Strand strand_;
    Acceptor acceptor_;
    Timer timer_;
    net::executor_work_guard<net::io_context::executor_type> work_;
    std::uint16_t port_ = 0;
    std::mutex mutex_;
    std::condition_variable ended_;
    unsigned running_ = 0;
    std::vector<std::jthread> threads_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> start_http_server(HttpServerOptions options, HttpHandler handler)
try {
    auto shared = std::make_shared<Shared>();
    shared->options = std::move(options);
    shared->handler = std::move(handler);
    if (shared->options.certificate_file.empty() != shared->options.key_file.empty())
        return fail(Errc::invalid, "TLS needs both a certificate and a key");
    if (!shared->options.certificate_file.empty()) {
        auto tls = make_tls(shared->options);
        if (!tls) return fail(std::move(tls.error()));
        shared->tls.reset(*tls);
        std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write(2)
    }
    take_descriptors();
    auto server = std::make_unique<BeastServer>(std::move(shared));
    if (auto listening = server->listen(); !listening) return fail(std::move(listening.error()));
    return std::unique_ptr<HttpServer>(std::move(server));
} catch (const std::exception& error) {
    return fail(Errc::internal, fmt::format("the HTTP server cannot start: {}", error.what()));
}

}  // namespace mill::factory
