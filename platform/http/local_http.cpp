#include "platform/local_http.h"

#include <cerrno>
#include <optional>
#include <set>
#include <thread>

#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "platform/base/os_error.h"

namespace mill::platform {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;
using Local = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;

constexpr std::size_t kCallers = 16;
constexpr std::uint32_t kMostHead = 8 * 1024;
constexpr std::uint64_t kMostBody = 64 * 1024, kMostAnswer = 16 * 1024 * 1024;
constexpr std::chrono::seconds kPatience{10};

std::string user_name(uid_t uid)
{
    passwd entry{};
    passwd* found = nullptr;
    char text[4096];
    if (getpwuid_r(uid, &entry, text, sizeof text, &found) == 0 && found != nullptr) return found->pw_name;
    return std::to_string(uid);
}

std::string caller(const Local::socket& socket)
{
    ucred who{};
    socklen_t length = sizeof who;
    const int native = const_cast<Local::socket&>(socket).native_handle();
    return getsockopt(native, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 ? user_name(who.uid) : std::string();
}

std::string caller(const Tcp::socket&) { return {}; }

/// One caller: a request, an answer, the end.
template <class Protocol>
class Exchange : public std::enable_shared_from_this<Exchange<Protocol>> {
public:
    Exchange(typename Protocol::socket socket, const LocalHandler& handler, std::size_t& callers)
        : user_(caller(socket)), stream_(std::move(socket)), handler_(handler), callers_(callers)
    {
        ++callers_;
        parser_.header_limit(kMostHead);
        parser_.body_limit(kMostBody);
    }
    ~Exchange() { --callers_; }

    void start()
    {
        stream_.expires_after(kPatience);
        http::async_read(stream_, buffer_, parser_, [self = this->shared_from_this()](ErrorCode error, std::size_t) {
            if (error == http::error::body_limit || error == http::error::header_limit)
                return self->answer({413, R"({"detail":"the request is too large"})"});
            if (!error) self->handle();
        });
    }

private:
    void handle()
    {
        const auto& asked = parser_.get();
        answer(handler_({std::string(asked.method_string()), std::string(asked.target()), asked.body(), user_}));
    }

    void answer(LocalResponse said)
    {
        answer_.result(static_cast<unsigned>(said.status));
        answer_.set(http::field::content_type, said.type);
        answer_.set(http::field::cache_control, "no-store");
        answer_.keep_alive(false);
        answer_.body() = std::move(said.body);
        answer_.prepare_payload();
        if (parser_.get().method() == http::verb::head) answer_.body().clear();
        http::async_write(stream_, answer_, [self = this->shared_from_this()](ErrorCode, std::size_t) {
            ErrorCode ignored;
            self->stream_.socket().shutdown(Protocol::socket::shutdown_send, ignored);
        });
    }

    const std::string user_;
    beast::basic_stream<Protocol> stream_;
    beast::flat_buffer buffer_{kMostHead + kMostBody};
    http::request_parser<http::string_body> parser_;
    http::response<http::string_body> answer_;
    const LocalHandler& handler_;
    std::size_t& callers_;
};

template <class Protocol>
class Server : public LocalServer {
public:
    Server(std::unique_ptr<asio::io_context> context, typename Protocol::acceptor acceptor, std::string address, std::string path, LocalHandler handler)
        : context_(std::move(context)), acceptor_(std::move(acceptor)), address_(std::move(address)), path_(std::move(path)), handler_(std::move(handler))
    {
        accept();
        thread_ = std::jthread([this] { context_->run(); });
    }
    ~Server() override
    {
        context_->stop();
        thread_.join();
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    const std::string& address() const override { return address_; }

private:
    void accept()
    {
        acceptor_.async_accept([this](ErrorCode error, typename Protocol::socket socket) {
            if (error == asio::error::operation_aborted) return;
            if (!error && callers_ < kCallers) std::make_shared<Exchange<Protocol>>(std::move(socket), handler_, callers_)->start();
            accept();
        });
    }

    std::unique_ptr<asio::io_context> context_;
    typename Protocol::acceptor acceptor_;
    const std::string address_, path_;
    const LocalHandler handler_;
    std::size_t callers_ = 0;   // before the exchanges that count themselves down
    std::jthread thread_;
};

Error system_error(const ErrorCode& error, const std::string& where)
{
    const Errc code = error.value() == EACCES || error.value() == EPERM       ? Errc::denied
                      : error.value() == EADDRINUSE                           ? Errc::conflict
                      : error.value() == ENOENT || error.value() == ECONNREFUSED ? Errc::not_found
                                                                              : Errc::unavailable;
    return {code, fmt::format("{}: {}", where, os_error(error.value()))};
}

Result<Local::endpoint> endpoint_at(const std::string& path)
{
    constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;
    if (path.size() > kLongest)
        return fail(Errc::invalid, fmt::format("{}: the path of a socket has at most {} bytes, this one has {}", path, kLongest, path.size()));
    return Local::endpoint(path);
}

}  // namespace

Result<std::unique_ptr<LocalServer>> serve_local_socket(const std::string& path, LocalHandler handler, unsigned mode)
{
    auto endpoint = endpoint_at(path);
    if (!endpoint) return fail(std::move(endpoint.error()));
    auto context = std::make_unique<asio::io_context>(1);
    Local::acceptor acceptor(*context);
    ErrorCode error;
    struct stat there{};
    if (::lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) ::unlink(path.c_str());
    acceptor.open(Local(), error);
    // The mode before the name: nobody comes in between.
    if (!error && ::fchmod(acceptor.native_handle(), 0600) != 0) error.assign(errno, boost::system::system_category());
    if (!error) acceptor.bind(*endpoint, error);
    if (!error && ::chmod(path.c_str(), mode) != 0) error.assign(errno, boost::system::system_category());
    if (!error) acceptor.listen(static_cast<int>(kCallers), error);
    if (error) return fail(system_error(error, path));
    return std::make_unique<Server<Local>>(std::move(context), std::move(acceptor), path, path, std::move(handler));
}

Result<std::unique_ptr<LocalServer>> serve_loopback(const std::string& host_and_port, LocalHandler handler)
{
    const std::size_t colon = host_and_port.rfind(':');
    std::string host = host_and_port.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    unsigned long port = 70'000;
    if (colon != std::string::npos && colon + 1 < host_and_port.size() && host_and_port.find_first_not_of("0123456789", colon + 1) == std::string::npos)
        port = std::strtoul(host_and_port.c_str() + colon + 1, nullptr, 10);
    ErrorCode error;
    const auto address = asio::ip::make_address(host, error);
    if (error || !address.is_loopback() || port > 65'535)
        return fail(Errc::invalid, fmt::format("'{}' is no loopback address with a port, such as 127.0.0.1:9470", host_and_port));
    auto context = std::make_unique<asio::io_context>(1);
    Tcp::acceptor acceptor(*context);
    const Tcp::endpoint endpoint(address, static_cast<std::uint16_t>(port));
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(static_cast<int>(kCallers), error);
    if (error) return fail(system_error(error, host_and_port));
    const std::string where = fmt::format("{}:{}", host_and_port.substr(0, colon), acceptor.local_endpoint().port());
    return std::make_unique<Server<Tcp>>(std::move(context), std::move(acceptor), where, "", std::move(handler));
}

Result<LocalResponse> call_local_socket(const std::string& path, const LocalRequest& request, std::chrono::milliseconds wait)
{
    auto endpoint = endpoint_at(path);
    if (!endpoint) return fail(std::move(endpoint.error()));
    asio::io_context context(1);
    beast::basic_stream<Local> stream(context);
    stream.expires_after(wait);
    beast::flat_buffer buffer;
    http::request<http::string_body> out(http::string_to_verb(request.method), request.target, 11);
    out.set(http::field::host, "localhost");
    out.set(http::field::content_type, "application/json");
    out.body() = request.body;
    out.prepare_payload();
    http::response_parser<http::string_body> in;
    in.body_limit(kMostAnswer);
    ErrorCode end;
    stream.async_connect(*endpoint, [&](ErrorCode error) {
        if ((end = error)) return;
        http::async_write(stream, out, [&](ErrorCode failed, std::size_t) {
            if ((end = failed)) return;
            http::async_read(stream, buffer, in, [&](ErrorCode over, std::size_t) { end = over; });
        });
    });
    context.run();
    if (end == beast::error::timeout) return fail(Errc::timeout, fmt::format("{}: no answer within {} ms", path, wait.count()));
    if (end && end.category() == boost::system::system_category()) return fail(system_error(end, path));
    if (end) return fail(Errc::unavailable, fmt::format("{}: {}", path, end.message()));
    auto& said = in.get();
    return LocalResponse{static_cast<int>(said.result_int()), std::move(said.body()), std::string(said[http::field::content_type])};
}

}  // namespace mill::platform
