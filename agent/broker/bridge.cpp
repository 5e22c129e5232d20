#include "agent/broker/bridge.h"

#include <algorithm>
#include <iterator>
#include <system_error>

#include <fmt/core.h>

#include "agent/broker/reach.h"
#include "agent/broker/verdict.h"
#include "platform/base/log.h"

namespace mill::broker {
namespace {

constexpr Milliseconds kAnswer{5'000};          // for an answer of ours to be taken
constexpr std::size_t kMostUnread = 64 * 1024;  // of a refused request's body, so that the refusal is read before the connection ends

std::string one_line_of(std::string text)
{
    std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7F; }, ' ');
    return text.substr(0, 100);
}

void refuse_client(platform::TcpStream& client, int status, const std::string& title, const std::string& detail, const std::stop_token& stop)
{
    const std::string body = detail + "\n";
    const std::string text = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                                         status, one_line_of(title), body.size(), body);
    if (!client.send(text, kAnswer, stop)) return;
    client.end_sending();
    const SteadyTime until = system_clock().steady() + Milliseconds(1'000);
    for (std::size_t unread = 0; unread < kMostUnread;) {
        const auto left = std::chrono::duration_cast<Milliseconds>(until - system_clock().steady());
        const auto more = client.receive(16 * 1024, std::max(left, Milliseconds(0)), stop);
        if (!more || more->empty()) return;
        unread += more->size();
    }
}

struct Head {
    std::string bytes;     ///< as far as they have come
    std::size_t size = 0;  ///< of the head; 0: it did not come whole
    bool too_slow = false;
};

Head read_head(platform::TcpStream& client, Milliseconds limit, const std::stop_token& stop)
{
    Head head;
    const SteadyTime until = system_clock().steady() + limit;
    while (head.bytes.size() <= platform::ProxyRequest::kMaxHead) {
        const auto left = std::chrono::duration_cast<Milliseconds>(until - system_clock().steady());
        const auto more = client.receive(platform::ProxyRequest::kMaxHead, std::max(left, Milliseconds(0)), stop);
        head.too_slow = !more && more.error().code == Errc::timeout;
        if (!more || more->empty()) return head;
        head.bytes += *more;
        head.size = platform::end_of_head(head.bytes);
        if (head.size > 0) return head;
    }
    return head;
}

}  // namespace

Outcome<std::vector<std::string>> may_bridge(const protocol::Permissions& grants, const platform::Uri& target)
{
    if (auto allowed = may_connect(grants, target); !allowed) return tl::unexpected(allowed.error());
    auto resolved = platform::resolve(target.host);
    if (!resolved) return refuse("communication", 502, "Host not found", resolved.error().what);
    auto addresses = admit_addresses(grants, target, *resolved);
    // Servers on this machine are on IPv4 more often than not, and "localhost" names both.
    if (addresses) std::stable_partition(addresses->begin(), addresses->end(), [](const std::string& address) { return address.starts_with("127."); });
    return addresses;
}

Bridge::Bridge(std::string key, platform::TcpListener listener, GrantsOf grants, Refused refused, BridgeBounds bounds)
    : key_(std::move(key)), listener_(std::move(listener)), grants_(std::move(grants)), refused_(std::move(refused)), bounds_(bounds),
      acceptor_([this] { accept(over_.get_token()); })
{
}

Bridge::~Bridge()
{
    end();
    listener_.end();  // whoever shares it may have made `accept` one that blocks
    acceptor_.join();
    connections_.clear();
    if (served_ > 0)
        log::info("broker", "attempt {}: its commands made {} connections, sent {} bytes and got {}", key_, served_, passed_.out.load(), passed_.in.load());
}

void Bridge::end() { over_.request_stop(); }

void Bridge::accept(const std::stop_token& stop)
{
    // A connection needs the resolver's files and no other; its thread inherits that.
    if (auto narrow = platform::confine_files(reach_of({})); !narrow)
        return log::error("broker", "attempt {}: its commands have no network: {}", key_, narrow.error().what);
    for (;;) {
        make_room(stop);
        auto client = listener_.accept(stop);
        if (!client) {
            if (client.error().code != Errc::cancelled) log::warning("broker", "attempt {}: its commands have no network any more: {}", key_, client.error().what);
            return;
        }
        ++served_;
        const std::scoped_lock lock(mutex_);
        Connection& made = connections_.emplace_back();
        try {
            made.thread = std::jthread([this, &made, client = std::move(*client)]() mutable {
                serve(std::move(client), over_.get_token());
                const std::scoped_lock done(mutex_);
                made.done = true;
                room_.notify_all();
            });
        } catch (const std::system_error& error) {  // the machine has no thread left
            connections_.pop_back();
            log::warning("broker", "attempt {}: a connection of its commands is dropped: {}", key_, error.what());
        }
    }
}

/// Lets go of the connections that are done; waits while there are too many.
void Bridge::make_room(const std::stop_token& stop)
{
    std::list<Connection> done;
    std::unique_lock lock(mutex_);
    const auto reap = [&] {
        for (auto at = connections_.begin(); at != connections_.end();) {
            const auto next = std::next(at);
            if (at->done) done.splice(done.end(), connections_, at);
            at = next;
        }
        return connections_.size() < bounds_.connections;
    };
    if (reap()) return;
    log::debug("broker", "attempt {}: its commands have {} connections; more wait until one ends", key_, bounds_.connections);
    room_.wait(lock, stop, reap);
}

Outcome<platform::TcpStream> Bridge::reach(const platform::ProxyRequest& request, const std::stop_token& stop)
{
    const auto grants = grants_(stop);
    if (!grants) return refuse("runtime", 503, "Over", "the job is over");
    const auto addresses = may_bridge(grants->permissions, request.target);
    if (!addresses) return tl::unexpected(addresses.error());
    const SteadyTime until = system_clock().steady() + bounds_.connect;
    std::string why;
    for (const std::string& address : *addresses) {
        const auto left = std::chrono::duration_cast<Milliseconds>(until - system_clock().steady());
        auto server = platform::TcpStream::connect(address, request.target.port, std::max(left, Milliseconds(1)), stop);
        if (server) return std::move(*server);
        why = server.error().what;
        if (server.error().code == Errc::cancelled || left <= Milliseconds(0)) break;
    }
    return refuse("communication", 502, "No connection", fmt::format("{}: {}", request.target.authority(), why));
}

void Bridge::serve(platform::TcpStream client, const std::stop_token& stop)
{
    const Head head = read_head(client, bounds_.head, stop);
    if (head.size == 0) {
        if (head.bytes.size() > platform::ProxyRequest::kMaxHead)
            return refuse_client(client, 431, "Request head too large", fmt::format("the head of the request has more than {} bytes", platform::ProxyRequest::kMaxHead), stop);
        if (head.too_slow) refuse_client(client, 408, "Request too slow", fmt::format("the head of the request did not come within {} ms", bounds_.head.count()), stop);
        return;
    }
    const auto request = platform::parse_proxy_request(std::string_view(head.bytes).substr(0, head.size));
    if (!request)
        return refuse_client(client, request.error().code == Errc::conflict ? 411 : 400, request.error().code == Errc::conflict ? "Length required" : "Not understood", request.error().what, stop);
    auto server = reach(*request, stop);
    if (!server) {
        if (server.error().status == 403) refused_(server.error());
        return refuse_client(client, server.error().status, server.error().title, server.error().detail, stop);
    }
    std::string_view early = std::string_view(head.bytes).substr(head.size);
    std::optional<std::uint64_t> most;
    if (!request->tunnel) {
        early = early.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(request->body, early.size())));
        most = request->body - early.size();
        if (!server->send(request->head, kAnswer, stop)) return refuse_client(client, 502, "No connection", fmt::format("{} does not read", request->target.authority()), stop);
        passed_.out += request->head.size();
    } else if (!client.send("HTTP/1.1 200 Connected\r\n\r\n", kAnswer, stop)) {
        return;
    }
    if (!server->send(early, kAnswer, stop)) return;
    passed_.out += early.size();
    platform::pass_between(client, *server, most, passed_, stop);
}

}  // namespace mill::broker
