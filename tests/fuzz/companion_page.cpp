// Any bytes as a request to the page of the person's desktop, over its real socket. {host}, {origin}, {link}, {cookie}, {key} stand for those of a session,
// so that the search comes past the door; without them nothing of the agent's is reached, whatever else is said.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "agent/companion/page_routes.h"
#include "agent/companion/page_server.h"
#include "platform/base/json.h"
#include "platform/base/log.h"

using namespace mill;

namespace {

constexpr std::size_t kMostHead = 8 * 1024, kMostBody = 64 * 1024;

struct World {
    FakeClock clock;
    std::mutex mutex;
    std::vector<platform::LocalRequest> passed;
    std::int64_t version = 1;
    std::unique_ptr<companion::PageServer> page;
    std::string host;
    int port = 0;

    World()
    {
        log::set_level(log::Level::error);
        auto started = companion::start_page({[this](const platform::LocalRequest& request, std::chrono::milliseconds) -> Result<platform::LocalResponse> {
                                                  const std::scoped_lock lock(mutex);
                                                  passed.push_back(request);
                                                  return platform::LocalResponse{200, "{}"};
                                              },
                                              &clock});
        check(started.has_value(), "the page is served");
        page = std::move(*started);
        host = page->address().substr(7);
        port = std::atoi(host.substr(host.find(':') + 1).c_str());
        page->changed(version);
    }
    /// What comes back until the server hangs up. One that waits for more gets none: it is told that there is no more.
    std::string say(std::string_view bytes)
    {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<std::uint16_t>(port));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        check(fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0, "the page's server takes a caller");
        const linger at_once{1, 0};   // else each caller leaves a port behind for a minute
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        std::string back;
        bool gone = false;
        const auto read_all = [&](int wait) {
            pollfd one{fd, POLLIN, 0};
            for (char piece[4096]; !gone && ::poll(&one, 1, wait) > 0;) {
                const ssize_t got = ::recv(fd, piece, sizeof piece, 0);
                gone = got <= 0;
                if (!gone) back.append(piece, static_cast<std::size_t>(got));
            }
        };
        (void)::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        read_all(3);
        if (!gone) page->changed(++version);
        read_all(1);
        if (!gone) ::shutdown(fd, SHUT_WR);
        read_all(15'000);
        check(gone, "every caller is answered, or left");
        ::close(fd);
        return back;
    }
};

std::string body_of(std::string_view reply)
{
    const std::size_t end = reply.find("\r\n\r\n");
    return end == reply.npos ? std::string() : std::string(reply.substr(end + 4));
}

std::string post(const World& world, std::string_view link)
{
    const std::string body = fmt::format(R"({{"secret":"{}"}})", link);
    return fmt::format("POST /session HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nX-Millwright: 1\r\nContent-Type: application/json\r\nContent-Length: {1}\r\n\r\n{2}", world.host, body.size(), body);
}

/// All of `name` in it; says whether there was one.
bool fill(std::string& text, std::string_view name, std::string_view value)
{
    bool any = false;
    for (std::size_t at = text.find(name); at != text.npos; at = text.find(name, at + value.size())) {
        text.replace(at, name.size(), value);
        any = true;
    }
    return any;
}

void check_reply(const std::string& reply)
{
    if (reply.empty()) return;   // what is no HTTP gets none
    check(reply.starts_with("HTTP/1.1 ") && reply.size() > 13, "a reply begins as one");
    int status = 0;
    std::from_chars(reply.data() + 9, reply.data() + 12, status);
    const std::string_view head = std::string_view(reply).substr(0, reply.find("\r\n\r\n"));
    check(head.find("\r\nCache-Control: no-store") != head.npos, "nothing of it is stored");
    check(head.find("HTTP/1.1", 1) == head.npos, "one reply for one request");
    if (status != 413) check(head.find("\r\nContent-Security-Policy: default-src 'none'") != head.npos && head.find("\r\nX-Frame-Options: DENY") != head.npos, "every reply has its rules");
    if (status == 200 || status == 304) return;
    check(status >= 400 && status <= 503, "a status that is one of ours");
    const std::string body = body_of(reply);
    const auto json = parse_json(body);
    check(body.empty() || (json && !(*json)["detail"].as_string().empty()), "an error has words");   // empty: HEAD
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0 || size > kMostHead + kMostBody) return 0;
    static World& world = *new World();   // its threads end with the process
    world.clock.advance(std::chrono::hours(13));   // no session, link or wrong guess of before counts
    std::string text(reinterpret_cast<const char*>(data), size);
    if (text.find('\r') == text.npos) fill(text, "\n", "\r\n");
    const std::string link = world.page->link("launcher", "");
    const std::string secret = link.substr(link.find('=') + 1, link.find('&') - link.find('=') - 1);
    std::string cookie, key;
    const bool wants_cookie = text.find("{cookie}") != text.npos, wants_key = text.find("{key}") != text.npos;
    if (wants_cookie || wants_key) {
        const std::string opened = world.say(post(world, secret));
        const std::size_t at = opened.find("\r\nSet-Cookie: ");
        check(at != opened.npos, "a link opens the page");
        cookie = opened.substr(at + 14, opened.find(';', at) - at - 14);
        key = (*parse_json(body_of(opened)))["key"].as_string();
    }
    const std::string next = world.page->link("launcher", "");
    fill(text, "{cookie}", cookie);
    fill(text, "{key}", key);
    fill(text, "{host}", world.host);
    fill(text, "{origin}", world.page->address());
    const bool wants_link = fill(text, "{link}", next.substr(next.find('=') + 1, next.find('&') - next.find('=') - 1));
    {
        const std::scoped_lock lock(world.mutex);
        world.passed.clear();
    }
    struct Said {
        bool secrets = false, page = false;
    };
    static Said last;   // what its caller did not wait for may come late
    const Said now{wants_cookie && wants_key, text.find(world.page->address()) != text.npos}, before = std::exchange(last, now);
    const std::string reply = world.say(text);
    check_reply(reply);
    if (!wants_link) check(key.empty() || reply.find(key) == reply.npos, "a session's key is told for a link alone");
    check(cookie.empty() || wants_link || reply.find(cookie) == reply.npos, "and its cookie");
    const std::scoped_lock lock(world.mutex);
    check(world.passed.size() <= 2, "one request is passed on once");
    for (const platform::LocalRequest& one : world.passed) {
        check(now.secrets || before.secrets, "nothing is passed on without both secrets");
        check(companion::page_route(one.method, one.target) == companion::PageRoute::forward, "what is passed on is in the list");
        check(one.target.starts_with("/v1/") && one.target.find_first_of("?#%\r\n\\ ") == one.target.npos && one.target.find("..") == one.target.npos, "its path is plain");
        check(one.method == "GET" || now.page || before.page, "only the page itself may change something");
        check(one.headers.empty() && one.body.size() <= kMostBody, "nothing but method, path and body is passed on");
    }
    return 0;
}
