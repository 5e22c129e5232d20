#include "platform/local_http.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <thread>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/http/local_callers.h"

namespace mill::platform {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;
using Local = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;

constexpr std::uint32_t kMostHead = 8 * 1024;
constexpr std::uint64_t kMostBody = 64 * 1024, kMostAnswer = 16 * 1024 * 1024;
constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::milliseconds kNoRoom{100};   // this program has no descriptor left: not asked again at once

std::optional<std::uint32_t> caller(Local::socket& socket)
{
    ucred who{};
    socklen_t length = sizeof who;
    if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &length) != 0) return std::nullopt;
    return who.uid;
}

std::optional<std::uint32_t> caller(Tcp::socket&) { return std::nullopt; }

std::string small_letters(std::string_view text)
{
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
    return out;
}

/// What an answer that comes later goes through: it outlives the server, and closes with it.
struct Door {
    std::mutex mutex;
    asio::io_context* context = nullptr;   // null: the server is gone
};

/// One caller: a request, an answer, the end. Thread: the server's.
template <class Protocol>
class Exchange : public std::enable_shared_from_this<Exchange<Protocol>> {
public:
    Exchange(typename Protocol::socket socket, std::optional<std::uint32_t> uid, std::uint64_t number, const LaterHandler& handler, Crowd<Exchange>& crowd, std::shared_ptr<Door> door)
        : uid_(uid), number_(number), stream_(std::move(socket)), handler_(handler), crowd_(crowd), door_(std::move(door))
    {
        crowd_.enter(uid_);
        crowd_.silent.emplace(number_, this);
        parser_.header_limit(kMostHead);
        parser_.body_limit(kMostBody);
    }
    ~Exchange()
    {
        crowd_.silent.erase(number_);
        if (counts_) crowd_.leave(uid_);
    }
    const std::optional<std::uint32_t>& uid() const { return uid_; }

    void start()
    {
        stream_.expires_after(kPatience);
        http::async_read(stream_, buffer_, parser_, [self = this->shared_from_this()](ErrorCode error, std::size_t) {
            if (!self->counts_) return;   // it has made room
            self->crowd_.silent.erase(self->number_);
            if (error == http::error::body_limit || error == http::error::header_limit)
                return self->answer({413, R"({"detail":"the request is too large"})"});
            if (!error) self->handle();
        });
    }
    /// Others want its place.
    void drop()
    {
        crowd_.silent.erase(number_);
        count(false);
        stream_.close();
    }

private:
    void count(bool counts)
    {
        if (std::exchange(counts_, counts) == counts) return;
        if (counts) crowd_.enter(uid_);
        else crowd_.leave(uid_);
    }
    void handle()
    {
        const auto& asked = parser_.get();
        LocalRequest request{std::string(asked.method_string()), std::string(asked.target()), asked.body(), uid_ ? crowd_.names.of(*uid_) : std::string(), uid_};
        for (const auto& field : asked) request.headers.emplace_back(small_letters({field.name_string().data(), field.name_string().size()}), std::string(field.value()));
        crowd_.parked.emplace(number_, this->shared_from_this());
        wait_.expires_after(kLongestWait);
        wait_.async_wait([self = this->shared_from_this()](ErrorCode error) {
            if (!error) self->answer({503, R"({"detail":"no answer in time"})"});
        });
        handler_(request, [door = door_, parked = &crowd_.parked, number = number_](LocalResponse said) {
            const std::scoped_lock lock(door->mutex);
            if (door->context == nullptr) return;
            asio::dispatch(*door->context, [parked, number, said = std::move(said)]() mutable {
                const auto found = parked->find(number);
                if (found != parked->end()) std::shared_ptr(found->second)->answer(std::move(said));
            });
        });
        if (!crowd_.parked.contains(number_)) return;
        count(false);
        watch();
        if (crowd_.parked.size() > kParked) std::shared_ptr(Crowd<Exchange>::oldest(crowd_.parked, uid_, number_)->second)->answer({503, R"({"detail":"too many wait for an answer: ask again"})"});
    }

    /// One that hangs up meanwhile makes room at once.
    void watch()
    {
        stream_.socket().async_wait(Protocol::socket::wait_read, [self = this->shared_from_this()](ErrorCode error) {
            if (error || !self->crowd_.parked.contains(self->number_)) return;
            char next = 0;
            if (::recv(self->stream_.socket().native_handle(), &next, 1, MSG_PEEK | MSG_DONTWAIT) > 0) return;
            self->crowd_.parked.erase(self->number_);
            self->wait_.cancel();
            self->stream_.close();
        });
    }

    void answer(LocalResponse said)
    {
        const auto self = this->shared_from_this();
        crowd_.parked.erase(number_);
        count(true);
        wait_.cancel();
        answer_.result(static_cast<unsigned>(said.status));
        answer_.set(http::field::content_type, said.type);
        answer_.set(http::field::cache_control, "no-store");
        for (const auto& [name, value] : said.headers) answer_.set(name, value);
        answer_.keep_alive(false);
        answer_.body() = std::move(said.body);
        answer_.prepare_payload();
        if (parser_.get().method() == http::verb::head) answer_.body().clear();
        stream_.expires_after(kPatience);
        http::async_write(stream_, answer_, [self](ErrorCode, std::size_t) {
            ErrorCode ignored;
            self->stream_.socket().shutdown(Protocol::socket::shutdown_send, ignored);
            self->stream_.socket().cancel(ignored);   // nobody watches any more whether it hangs up: it is over
        });
    }

    const std::optional<std::uint32_t> uid_;
    const std::uint64_t number_;
    beast::basic_stream<Protocol> stream_;
    asio::steady_timer wait_{stream_.get_executor()};
    beast::flat_buffer buffer_{kMostHead + kMostBody};
    http::request_parser<http::string_body> parser_;
    http::response<http::string_body> answer_;
    const LaterHandler& handler_;
    Crowd<Exchange>& crowd_;
    const std::shared_ptr<Door> door_;
    bool counts_ = true;   // not: it is parked, or has made room
};

template <class Protocol>
class Server : public LocalServer {
public:
    Server(std::unique_ptr<asio::io_context> context, typename Protocol::acceptor acceptor, std::string address, std::string path, LaterHandler handler)
        : context_(std::move(context)), acceptor_(std::move(acceptor)), address_(std::move(address)), path_(std::move(path)), handler_(std::move(handler))
    {
        door_->context = context_.get();
        accept();
        thread_ = std::jthread([this] { context_->run(); });
    }
    ~Server() override
    {
        {
            const std::scoped_lock lock(door_->mutex);
            door_->context = nullptr;
        }
        context_->stop();
        thread_.join();
        crowd_.parked.clear();   // their sockets, before the context
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    const std::string& address() const override { return address_; }

private:
    void accept()
    {
        acceptor_.async_accept([this](ErrorCode error, typename Protocol::socket socket) {
            if (error == asio::error::operation_aborted) return;
            if (error) {
                pause_.expires_after(kNoRoom);
                return pause_.async_wait([this](ErrorCode stopped) {
                    if (!stopped) accept();
                });
            }
            const auto uid = caller(socket);
            if (crowd_.make_room(uid, next_)) std::make_shared<Exchange<Protocol>>(std::move(socket), uid, next_++, handler_, crowd_, door_)->start();
            accept();
        });
    }

    Crowd<Exchange<Protocol>> crowd_;   // before the exchanges that leave it: the context's, too
    std::unique_ptr<asio::io_context> context_;
    typename Protocol::acceptor acceptor_;
    asio::steady_timer pause_{*context_};
    const std::string address_, path_;
    const LaterHandler handler_;
    const std::shared_ptr<Door> door_ = std::make_shared<Door>();
    std::uint64_t next_ = 0;
    std::jthread thread_;
};

LaterHandler at_once(LocalHandler handler)
{
    return [handler = std::move(handler)](const LocalRequest& request, const LocalAnswer& answer) { answer(handler(request)); };
}

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

std::string_view LocalRequest::header(std::string_view name) const
{
    const auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& one) { return one.first == name; });
    return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

Result<std::unique_ptr<LocalServer>> serve_local_socket(const std::string& path, LocalHandler handler, unsigned mode) { return serve_local_socket(path, at_once(std::move(handler)), mode); }

Result<std::unique_ptr<LocalServer>> serve_local_socket(const std::string& path, LaterHandler handler, unsigned mode)
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
    if (!error && ::fchmod(acceptor.native_handle(), mode) != 0) error.assign(errno, boost::system::system_category());
    if (!error) acceptor.bind(*endpoint, error);
    if (!error && ::chmod(path.c_str(), mode) != 0) error.assign(errno, boost::system::system_category());
    if (!error) acceptor.listen(static_cast<int>(kCallers), error);
    if (error) return fail(system_error(error, path));
    return std::make_unique<Server<Local>>(std::move(context), std::move(acceptor), path, path, std::move(handler));
}

Result<std::unique_ptr<LocalServer>> serve_loopback(const std::string& host_and_port, LocalHandler handler) { return serve_loopback(host_and_port, at_once(std::move(handler))); }

Result<std::unique_ptr<LocalServer>> serve_loopback(const std::string& host_and_port, LaterHandler handler)
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
    for (const auto& [name, value] : request.headers) out.set(name, value);
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
