#include "platform/local_http.h"

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

/// Bytes as they are, and all that comes back.
std::string raw(const std::string& path, const std::string& bytes)
{
    const int out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, sizeof to.sun_path - 1);
    if (connect(out, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return "not connected";
    (void)!send(out, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    shutdown(out, SHUT_WR);
    std::string back;
    char piece[4096];
    for (ssize_t got = 0; (got = read(out, piece, sizeof piece)) > 0;) back.append(piece, static_cast<std::size_t>(got));
    close(out);
    return back;
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

TEST_CASE("many callers at once are served or turned away, and it goes on", "[local_http]")
{
    const Folder folder;
    auto server = serve_local_socket(folder.at("control"), [&](const LocalRequest&) { return LocalResponse{}; });
    REQUIRE(server);
    std::vector<int> idle;   // connected, and silent
    for (int i = 0; i < 40; ++i) {
        const int out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        folder.at("control").copy(to.sun_path, sizeof to.sun_path - 1);
        (void)connect(out, reinterpret_cast<const sockaddr*>(&to), sizeof to);
        idle.push_back(out);
    }
    CHECK_FALSE(call_local_socket(folder.at("control"), {}, 500ms).has_value());
    for (const int one : idle) close(one);
    bool served = false;
    for (int i = 0; i < 100 && !served; ++i) {
        served = call_local_socket(folder.at("control"), {}, 5s).has_value();
        if (!served) std::this_thread::yield();
    }
    CHECK(served);
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
