#include <catch2/catch.hpp>

#include <list>
#include <mutex>
#include <string>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agent/broker/attempt.h"
#include "agent/broker/bridge.h"
#include "tests/unit/broker/loopback_server.h"

using namespace mill;
using broker::Bridge;
using platform::TcpListener;
using platform::TcpStream;

namespace {

constexpr Milliseconds kLong{20'000};

std::uint16_t port_of(const platform::Handle& listener)
{
    sockaddr_in address{};
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(listener.native(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    return ntohs(address.sin_port);
}

Json network(std::vector<std::string> rules)
{
    Json list = Json::array();
    for (const std::string& rule : rules) list.push(rule);
    return Json::object({{"commands", Json::array({"curl"})}, {"network", list}});
}

struct Bench {
    platform::Handle shared = std::move(*TcpListener::open_on_loopback(0));  ///< as the runner holds it
    std::uint16_t port = port_of(shared);
    std::shared_ptr<const broker::Grants> grants;
    std::mutex mutex;
    std::vector<std::string> refusals;
    std::unique_ptr<Bridge> bridge;

    explicit Bench(const Json& permissions, broker::BridgeBounds bounds = {}) : grants(*broker::make_grants(permissions, Json::object()))
    {
        bridge = std::make_unique<Bridge>("job.1.1", std::move(*TcpListener::take_over(shared.duplicate(), port)), [this](const std::stop_token&) { return grants; },
                                          [this](const broker::EffectError& error) {
                                              const std::scoped_lock lock(mutex);
                                              refusals.push_back(error.detail);
                                          },
                                          bounds);
    }
    ~Bench() { bridge.reset(); }
    TcpStream client() const { return std::move(*TcpStream::connect("127.0.0.1", port, kLong)); }
    static std::string rest(TcpStream& from)
    {
        std::string out;
        for (;;) {
            const auto piece = from.receive(65'536, kLong, {});
            if (!piece || piece->empty()) return out;
            out += *piece;
        }
    }
    /// What comes back for these bytes, until the connection ends.
    std::string asked(const std::string& bytes) const
    {
        TcpStream made = client();
        REQUIRE(made.send(bytes, kLong, {}));
        return rest(made);
    }
};

std::string connect_to(const std::string& target) { return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n"; }

}  // namespace

TEST_CASE("a tunnel to a granted host and port passes bytes both ways", "[broker][bridge]")
{
    LoopbackServer server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    const std::string target = "127.0.0.1:" + std::to_string(server.port());
    Bench bench(network({target}));
    TcpStream made = bench.client();
    REQUIRE(made.send(connect_to(target) + "GET /in HTTP/1.1\r\n\r\n", kLong, {}));  // the first bytes of the tunnel come with its head
    const auto answer = made.receive(4096, kLong, {});
    REQUIRE(answer);
    CHECK_THAT(*answer, Catch::StartsWith("HTTP/1.1 200 Connected\r\n\r\n"));
    std::string all = *answer;
    while (all.find("hello") == std::string::npos) all += *made.receive(4096, kLong, {});
    REQUIRE(server.requests().size() == 1);
    CHECK_THAT(server.requests()[0], Catch::StartsWith("GET /in"));
}

TEST_CASE("a plain request is passed on with its body, and its answer comes back", "[broker][bridge]")
{
    LoopbackServer server([](const std::string& request) { return "HTTP/1.0 200 OK\r\n\r\n" + request.substr(request.find("\r\n\r\n") + 4); });
    Bench bench(network({"http://127.0.0.1:" + std::to_string(server.port())}));
    TcpStream made = bench.client();
    REQUIRE(made.send("POST " + server.url("/x?y") + " HTTP/1.1\r\nHost: elsewhere\r\nContent-Length: 4\r\n\r\nbo", kLong, {}));
    REQUIRE(made.send("dy and more", kLong, {}));
    std::string all;
    while (all.find("body") == std::string::npos) all += *made.receive(4096, kLong, {});
    INFO(all);
    REQUIRE(server.requests().size() == 1);
    CHECK_THAT(server.requests()[0], Catch::StartsWith("POST /x?y HTTP/1.1\r\nHost: 127.0.0.1:") && Catch::EndsWith("\r\n\r\nbody") && !Catch::Contains("elsewhere"));
}

TEST_CASE("each target is checked as http.request's is, and a refusal says what to write", "[broker][bridge]")
{
    LoopbackServer server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const std::string port = std::to_string(server.port());
    Bench bench(network({"*"}));
    Bench strict(network({"https://tickets.example.com", "https://127.0.0.1:" + port}));
    const auto refusal = [&](const Bench& from, const std::string& request) {
        const std::string answer = from.asked(request);
        CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 403 Not granted\r\n") && Catch::Contains("permissions: { network: [ \""));
        return answer;
    };
    CHECK_THAT(refusal(strict, connect_to("other.example.com:443")), Catch::Contains("network: [ \"https://other.example.com\" ]"));
    CHECK_THAT(refusal(strict, connect_to("tickets.example.com:22")), Catch::Contains("network: [ \"https://tickets.example.com:22\" ]"));
    CHECK_THAT(refusal(strict, connect_to("169.254.169.254:443")), Catch::Contains("169.254.169.254"));
    CHECK_THAT(refusal(strict, connect_to("[::1]:" + port)), Catch::Contains("[::1]"));
    CHECK_THAT(refusal(strict, "GET http://127.0.0.1:" + port + "/ HTTP/1.1\r\n\r\n"), Catch::Contains("network: [ \"http://127.0.0.1:" + port + "\" ]"));  // https is granted
    CHECK(strict.refusals.size() == 5);
    // "*" leaves what is private to a grant that names it, whatever name leads there.
    CHECK_THAT(refusal(bench, connect_to("localhost:" + port)), Catch::Contains("private address"));
    CHECK_THAT(refusal(bench, connect_to("127.0.0.2:" + port)), Catch::Contains("private address"));
    CHECK(server.requests().empty());
}

TEST_CASE("a target that is granted and not there is a bad gateway, not a refusal", "[broker][bridge]")
{
    std::uint16_t free = 0;
    { free = port_of(*TcpListener::open_on_loopback(0)); }
    Bench bench(network({"127.0.0.1:" + std::to_string(free), "https://no-such-host.invalid"}));
    CHECK_THAT(bench.asked(connect_to("127.0.0.1:" + std::to_string(free))), Catch::StartsWith("HTTP/1.1 502 No connection"));
    CHECK_THAT(bench.asked(connect_to("no-such-host.invalid:443")), Catch::StartsWith("HTTP/1.1 502 Host not found"));
    CHECK(bench.refusals.empty());
}

TEST_CASE("what is no request gets an answer that says so, or none, and harms nobody", "[broker][bridge]")
{
    Bench bench(network({"*"}), {.head = Milliseconds(200)});
    CHECK_THAT(bench.asked("\x16\x03\x01\r\n\r\n"), Catch::StartsWith("HTTP/1.1 400 Not understood"));
    CHECK_THAT(bench.asked("GET / HTTP/1.1\r\n\r\n"), Catch::StartsWith("HTTP/1.1 400"));
    CHECK_THAT(bench.asked("POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), Catch::StartsWith("HTTP/1.1 411 Length required"));
    CHECK_THAT(bench.asked(std::string(8193, 'x')), Catch::StartsWith("HTTP/1.1 431"));
    CHECK_THAT(bench.asked("CONNECT a.example:443 HTT"), Catch::StartsWith("HTTP/1.1 408"));  // and then nothing more
    CHECK_THAT(bench.asked(""), Catch::StartsWith("HTTP/1.1 408"));
    { TcpStream gone = bench.client(); }
    CHECK_THAT(bench.asked("GET / HTTP/1.1\r\n\r\n"), Catch::StartsWith("HTTP/1.1 400"));
}

TEST_CASE("more connections than the bound wait until one ends", "[broker][bridge]")
{
    LoopbackServer server("");
    const std::string target = "127.0.0.1:" + std::to_string(server.port());
    Bench bench(network({target}), {.connections = 2});
    std::list<TcpStream> held;
    const auto open = [&] {
        held.push_back(bench.client());
        REQUIRE(held.back().send(connect_to(target), kLong, {}));
    };
    open();
    open();
    for (TcpStream& each : held) CHECK_THAT(*each.receive(100, kLong, {}), Catch::StartsWith("HTTP/1.1 200"));
    open();
    CHECK(held.back().receive(100, Milliseconds(100), {}).error().code == Errc::timeout);
    held.pop_front();
    CHECK_THAT(*held.back().receive(100, kLong, {}), Catch::StartsWith("HTTP/1.1 200"));
}

TEST_CASE("the end of an attempt ends its tunnels, whatever was done to the listener", "[broker][bridge]")
{
    LoopbackServer server("");
    const std::string target = "127.0.0.1:" + std::to_string(server.port());
    Bench bench(network({target}));
    TcpStream tunnel = bench.client(), silent = bench.client();
    REQUIRE(tunnel.send(connect_to(target), kLong, {}));
    CHECK_THAT(*tunnel.receive(100, kLong, {}), Catch::StartsWith("HTTP/1.1 200"));
    REQUIRE(::fcntl(bench.shared.native(), F_SETFL, 0) == 0);
    bench.bridge->end();
    CHECK(Bench::rest(tunnel).empty());
    CHECK(Bench::rest(silent).empty());
    bench.bridge.reset();
    SUCCEED("its threads came back");
}

TEST_CASE("an attempt takes one listener, and nothing else for one", "[broker][bridge][attempt]")
{
    auto pair = platform::Channel::pair();
    REQUIRE(pair);
    broker::Budget budget_of_attempt;
    broker::Attempt attempt("job.1.1", budget_of_attempt);
    attempt.attach(std::move(pair->second), false);
    platform::Channel& runner = pair->first;
    const auto answer = [&](std::string_view text, const platform::Handle* along) {
        REQUIRE(runner.send(text, along));
        auto message = runner.receive(kLong);
        REQUIRE(message);
        REQUIRE(*message);
        return (*message)->text;
    };
    CHECK_THAT(answer(R"({"listener":true})", nullptr), Catch::Contains("is nothing"));
    CHECK_THAT(answer(R"({"listener":false})", nullptr), Catch::Contains("listener"));
    const auto other = TcpListener::open_on_loopback(0);
    CHECK_THAT(answer(R"({"listener":true})", &*other), Catch::Contains("127.0.0.1:3128"));
    const auto listener = TcpListener::open_on_loopback(broker::kBridgePort);
    if (!listener) {
        WARN("SKIP: port 3128 of this machine is taken");
        return;
    }
    REQUIRE(runner.send(R"({"listener":true})", &*listener));
    CHECK_THAT(answer(R"({"listener":true})", &*listener), Catch::Contains("a second listener"));
    // Requests wait for the grants, as calls do; a refusal is told for the job's log.
    auto client = TcpStream::connect("127.0.0.1", broker::kBridgePort, kLong);
    REQUIRE(client);
    REQUIRE(client->send(connect_to("other.example.com:443"), kLong, {}));
    CHECK(client->receive(100, Milliseconds(50), {}).error().code == Errc::timeout);
    attempt.open(*broker::make_grants(network({"https://tickets.example.com"}), Json::object()));
    CHECK_THAT(*client->receive(4096, kLong, {}), Catch::StartsWith("HTTP/1.1 403"));
    auto note = runner.receive(kLong);
    REQUIRE(note);
    REQUIRE(*note);
    CHECK_THAT((*note)->text, Catch::StartsWith(R"({"note":"a command was refused the network: )") && Catch::Contains("other.example.com"));
    attempt.close();
}
