#include "platform/local_http.h"

#include <condition_variable>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "platform/files.h"

using namespace mill;
using namespace mill::platform;
using namespace std::chrono_literals;

namespace {

struct Folder {
    std::filesystem::path path;
    Folder()
    {
        char name[] = "/tmp/local-http-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string at(const char* name) const { return (path / name).string(); }
};

bool connect_to(int out, const std::string& path)
{
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, sizeof to.sun_path - 1);
    return connect(out, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
}

int connected(const std::string& path)
{
    const int out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(connect_to(out, path));
    return out;
}

int connected_to_port(const std::string& address)
{
    const int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    REQUIRE(connect(out, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    return out;
}

/// All that comes back when these bytes are said, too. Closes it.
std::string said_over(int out, const std::string& bytes)
{
    (void)!send(out, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    std::string back;
    char piece[4096];
    for (ssize_t got = 0; (got = read(out, piece, sizeof piece)) > 0;) back.append(piece, static_cast<std::size_t>(got));
    close(out);
    return back;
}

/// Bytes as they are, and all that comes back.
std::string raw(const std::string& path, const std::string& bytes)
{
    const int out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!connect_to(out, path)) return "not connected";
    (void)!send(out, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    shutdown(out, SHUT_WR);
    return said_over(out, "");
}

}  // namespace

TEST_CASE("a request to a local socket arrives with who sent it, and its answer comes back", "[local_http]")
{
    const Folder folder;
    LocalRequest seen;
    auto server = serve_local_socket(folder.at("control"), [&](const LocalRequest& request) {
        seen = request;
        return LocalResponse{202, R"({"done":true})"};
    });
    REQUIRE(server);
    struct stat mode{};
    REQUIRE(stat(folder.at("control").c_str(), &mode) == 0);
    CHECK((mode.st_mode & 0777) == 0600);
    auto answer = call_local_socket(folder.at("control"), {"POST", "/pause", R"({"why":"lunch"})", ""}, 5s);
    REQUIRE(answer);
    CHECK(answer->status == 202);
    CHECK(answer->body == R"({"done":true})");
    CHECK(seen.method == "POST");
    CHECK(seen.target == "/pause");
    CHECK(seen.body == R"({"why":"lunch"})");
    CHECK_FALSE(seen.user.empty());
}

TEST_CASE("a socket that a killed program left is replaced, and a file of that name is not", "[local_http]")
{
    const Folder folder;
    const auto handler = [](const LocalRequest&) { return LocalResponse{}; };
    {
        const int left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        folder.at("control").copy(to.sun_path, sizeof to.sun_path - 1);
        REQUIRE(bind(left, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
        close(left);
    }
    CHECK(call_local_socket(folder.at("control"), {}, 5s).error().code == Errc::not_found);
    {
        auto server = serve_local_socket(folder.at("control"), handler);
        REQUIRE(server);
        CHECK(call_local_socket(folder.at("control"), {}, 5s).has_value());
    }
    CHECK_FALSE(exists(folder.at("control")));
    CHECK(call_local_socket(folder.at("control"), {}, 5s).error().code == Errc::not_found);
    std::ofstream(folder.at("control")) << "mine";
    CHECK_FALSE(serve_local_socket(folder.at("control"), handler));
    CHECK(read_file(folder.at("control"), 100).value() == "mine");
    const std::string deep = folder.at(std::string(120, 'd').c_str());
    CHECK_THAT(serve_local_socket(deep, handler).error().what, Catch::Contains("at most 107 bytes"));
}

TEST_CASE("what is no request, or too large a one, reaches nobody", "[local_http]")
{
    const Folder folder;
    int calls = 0;
    auto server = serve_local_socket(folder.at("control"), [&](const LocalRequest&) {
        ++calls;
        return LocalResponse{};
    });
    REQUIRE(server);
    const std::string path = folder.at("control");
    CHECK_THAT(raw(path, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + std::string(70'000, 'x')), Catch::StartsWith("HTTP/1.1 413"));
    CHECK_THAT(raw(path, "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"), Catch::StartsWith("HTTP/1.1 413") || Catch::Equals(""));
    CHECK(raw(path, "\x16\x03\x01 nonsense\r\n\r\n").empty());
    CHECK(raw(path, "GET / HT").empty());
    CHECK(calls == 0);
    CHECK_THAT(raw(path, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Catch::StartsWith("HTTP/1.1 200"));
    CHECK(calls == 1);
}

TEST_CASE("who connects and says nothing makes room for who asks", "[local_http]")
{
    const Folder folder;
    auto server = serve_local_socket(folder.at("control"), [&](const LocalRequest&) { return LocalResponse{}; });
    auto port = serve_loopback("127.0.0.1:0", [&](const LocalRequest&) { return LocalResponse{200, "here"}; });
    REQUIRE(server);
    REQUIRE(port);
    std::vector<int> idle;
    for (int i = 0; i < 40; ++i) {
        idle.push_back(connected(folder.at("control")));
        idle.push_back(connected_to_port((*port)->address()));
    }
    CHECK(call_local_socket(folder.at("control"), {}, 5s).has_value());
    const int last = connected_to_port((*port)->address());
    CHECK_THAT(said_over(last, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Catch::EndsWith("here"));
    // The newest of the silent ones was not dropped for it: it may still speak.
    CHECK_THAT(said_over(idle.back(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Catch::EndsWith("here"));
    idle.pop_back();
    for (const int one : idle) close(one);
}

TEST_CASE("those whose answers come later take nobody's place, and of too many the oldest is sent away", "[local_http]")
{
    const Folder folder;
    std::mutex mutex;
    std::condition_variable came;
    std::vector<LocalAnswer> parked;
    auto server = serve_local_socket(folder.at("control"), LaterHandler([&](const LocalRequest& request, LocalAnswer answer) {
                                         if (request.target == "/now") return answer({200, "now"});
                                         const std::scoped_lock lock(mutex);
                                         parked.push_back(std::move(answer));
                                         came.notify_all();
                                     }));
    REQUIRE(server);
    std::vector<int> waiting;
    for (std::size_t i = 0; i < 40; ++i) {
        waiting.push_back(connected(folder.at("control")));
        const std::string bytes = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n";
        REQUIRE(send(waiting.back(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
        std::unique_lock lock(mutex);
        REQUIRE(came.wait_for(lock, 5s, [&] { return parked.size() == i + 1; }));
    }
    CHECK(call_local_socket(folder.at("control"), {"GET", "/now"}, 5s).value_or(LocalResponse{}).body == "now");
    CHECK_THAT(said_over(waiting.front(), ""), Catch::StartsWith("HTTP/1.1 503"));
    parked.back()({200, "later"});
    CHECK_THAT(said_over(waiting.back(), ""), Catch::EndsWith("later"));
    for (std::size_t i = 1; i + 1 < waiting.size(); ++i) close(waiting[i]);
}

TEST_CASE("another user who takes all the answers that there are, and reads none, shuts nobody out", "[local_http]")
{
    if (geteuid() != 0) {   // who alone can call as another user
        WARN("SKIP: only root can call as another user");
        return;
    }
    const Folder folder;
    REQUIRE(chmod(folder.path.c_str(), 0755) == 0);
    const std::string large(8 * 1024 * 1024, 'x');
    auto server = serve_local_socket(folder.at("door"), LocalHandler([&](const LocalRequest& request) { return LocalResponse{200, request.target == "/large" ? large : "small"}; }), 0666);
    REQUIRE(server);
    std::vector<int> others;
    for (int i = 0; i < 30; ++i) others.push_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    constexpr std::string_view kCall = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    const pid_t child = fork();   // the kernel keeps who connected
    if (child == 0) {
        if (setuid(12345) != 0) _exit(1);
        for (const int one : others) {
            connect_to(one, folder.at("door"));
            (void)!send(one, kCall.data(), kCall.size(), MSG_NOSIGNAL);
            usleep(20'000);
        }
        _exit(0);
    }
    int status = 1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
    for (int i = 0; i < 10; ++i) CHECK(call_local_socket(folder.at("door"), {"GET", "/"}, 5s).value_or(LocalResponse{}).body == "small");
    std::size_t turned_away = 0;   // at once, not after its patience
    for (const int one : others) {
        char next = 0;
        if (recv(one, &next, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) ++turned_away;
        close(one);
    }
    CHECK(turned_away == 14);
}

TEST_CASE("a program without a descriptor left waits, and burns no core", "[local_http]")
{
    const Folder folder;
    auto server = serve_local_socket(folder.at("control"), [&](const LocalRequest&) { return LocalResponse{200, "served"}; });
    REQUIRE(server);
    const int one = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rlimit before{}, used{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    used = before;
    used.rlim_cur = 0;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &used) == 0);
    connect_to(one, folder.at("control"));
    const std::clock_t cpu = std::clock();
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable never;
    never.wait_for(lock, 500ms);
    const double burnt = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(burnt < 0.1);
    CHECK_THAT(said_over(one, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Catch::EndsWith("served"));
}

TEST_CASE("loopback only, with a port", "[local_http]")
{
    const auto handler = [](const LocalRequest&) { return LocalResponse{200, "up 1\n", "text/plain"}; };
    for (const char* bad : {"0.0.0.0:0", "192.0.2.1:9470", "localhost:9470", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "", ":1"})
        CHECK(serve_loopback(bad, handler).error().code == Errc::invalid);
    auto server = serve_loopback("127.0.0.1:0", handler);
    REQUIRE(server);
    CHECK_THAT((*server)->address(), Catch::StartsWith("127.0.0.1:") && !Catch::EndsWith(":0"));
    CHECK(serve_loopback((*server)->address(), handler).error().code == Errc::conflict);
}

TEST_CASE("headers go both ways, and a caller is known by its number", "[local_http]")
{
    const Folder folder;
    LocalRequest seen;
    auto server = serve_local_socket(folder.at("control"), [&](const LocalRequest& request) {
        seen = request;
        return LocalResponse{200, "{}", "application/json", {{"set-cookie", "a=b"}}};
    });
    REQUIRE(server);
    REQUIRE(call_local_socket(folder.at("control"), {"GET", "/", "", "", {}, {{"x-millwright", "1"}}}, 5s));
    CHECK(seen.header("x-millwright") == "1");
    CHECK(seen.header("host") == "localhost");
    CHECK(seen.header("cookie").empty());
    CHECK(seen.uid == std::optional<std::uint32_t>(getuid()));
    const std::string answer = raw(folder.at("control"), "GET / HTTP/1.1\r\nHost: x\r\nX-MILLWRIGHT: 2\r\n\r\n");
    CHECK_THAT(answer, Catch::Contains("set-cookie: a=b\r\n"));
    CHECK(seen.header("x-millwright") == "2");
}

TEST_CASE("an answer comes later, from another thread, and goes nowhere when its caller or the server is gone", "[local_http]")
{
    const Folder folder;
    std::mutex mutex;
    std::condition_variable came;
    std::vector<LocalAnswer> parked;
    const auto hold = [&](const LocalRequest& request, LocalAnswer answer) {
        if (request.target == "/now") return answer({200, "now"});
        const std::scoped_lock lock(mutex);
        parked.push_back(std::move(answer));
        came.notify_all();
    };
    const auto wait_for = [&](std::size_t count) {
        std::unique_lock lock(mutex);
        return came.wait_for(lock, 5s, [&] { return parked.size() == count; });
    };
    auto server = serve_local_socket(folder.at("control"), LaterHandler(hold));
    REQUIRE(server);
    std::string body;
    std::jthread caller([&] { body = call_local_socket(folder.at("control"), {"GET", "/later"}, 10s).value_or(LocalResponse{}).body; });
    REQUIRE(wait_for(1));
    CHECK(call_local_socket(folder.at("control"), {"GET", "/now"}, 5s).value_or(LocalResponse{}).body == "now");
    parked[0]({200, "later"});
    parked[0]({200, "twice"});
    caller.join();
    CHECK(body == "later");

    // More that hang up than may call at once: each makes room.
    for (std::size_t i = 0; i < 100; ++i) {
        CHECK_FALSE(call_local_socket(folder.at("control"), {"GET", "/later"}, 10ms));
        REQUIRE(wait_for(i + 2));
    }
    CHECK(call_local_socket(folder.at("control"), {"GET", "/now"}, 5s).value_or(LocalResponse{}).body == "now");
    for (const LocalAnswer& answer : parked) answer({200, "nobody hears that"});
    CHECK(call_local_socket(folder.at("control"), {"GET", "/now"}, 5s).value_or(LocalResponse{}).body == "now");

    std::jthread last([&] { (void)call_local_socket(folder.at("control"), {"GET", "/later"}, 10s); });
    REQUIRE(wait_for(102));
    server = fail(Errc::not_found, "gone");
    for (const LocalAnswer& answer : parked) answer({200, "too late"});
}
