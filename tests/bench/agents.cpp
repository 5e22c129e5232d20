// tests/bench/agents.cpp -- many agents in one process: each has a key, a session and a parked poll of its own. Driven by tests/bench/bench-agents.
//
//   bench_agents URL CODE COUNT     enrols COUNT agents, opens their sessions, parks their polls; then serves until standard input ends
//   bench_agents --idle URL COUNT   COUNT connections that asked once and say nothing more: the floor
//
// Lines on standard output: "enrolled N", "parked N", "back N SECONDS" (all again after the factory went), "offer JOB MICROSECONDS" (Unix time).
// After a loss each agent comes back as the real one does: a random part of a bound that doubles from 250 ms to 30 s; then token, session, poll.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/json.h"
#include "platform/crypto.h"

using namespace mill;

namespace {

using Steady = std::chrono::steady_clock;

enum class Stage { enrol, token, session, park, report, idle };

struct Seat {
    std::string name, id, token_url, token, in, out;
    platform::SigningKey key;
    int fd = -1, counter = 0;
    Stage stage = Stage::enrol;
    bool asked = false, parked = false;
    std::chrono::milliseconds bound{250};
    Steady::time_point due{};   ///< when it connects again
    std::string report;         ///< body of the next events call
};

class Bench {
public:
    Bench(std::string host, int port, std::string url, std::string code) : host_(std::move(host)), url_(std::move(url)), code_(std::move(code)), port_(port), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

    int run(std::size_t count, bool idle)
    {
        seats_.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            seats_[i].name = fmt::format("srv-{:05}", i + 1);
            seats_[i].stage = idle ? Stage::idle : Stage::enrol;
            if (!idle) seats_[i].key = platform::make_signing_key();
            waiting_.push_back(i);
        }
        epoll_event input{EPOLLIN, {.u64 = kInput}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, 0, &input);
        while (turn()) {
        }
        return 0;
    }

private:
    static constexpr std::uint64_t kInput = ~std::uint64_t{0};
    static constexpr std::size_t kAtOnce = 128;   // connections on their way to a parked poll: a machine's agents do not start in one instant

    bool turn()
    {
        const auto now = Steady::now();
        for (std::size_t at = 0; at < waiting_.size() && (settled_ || busy_ < kAtOnce);) {
            if (seats_[waiting_[at]].due > now) {
                ++at;
                continue;
            }
            const std::size_t next = waiting_[at];
            waiting_[at] = waiting_.back();
            waiting_.pop_back();
            connect(next);
        }
        epoll_event events[256];
        const int found = epoll_wait(epoll_, events, 256, waiting_.empty() ? 1000 : 5);
        for (int i = 0; i < found; ++i) {
            if (events[i].data.u64 == kInput) {
                char byte = 0;
                if (read(0, &byte, 1) <= 0) return false;
                continue;
            }
            handle(events[i].data.u64, events[i].events);
        }
        return true;
    }

    void connect(std::size_t number)
    {
        Seat& seat = seats_[number];
        seat.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (seat.fd < 0) {
            std::fprintf(stderr, "no descriptor is left: raise ulimit -n\n");
            std::exit(2);
        }
        const int on = 1;
        setsockopt(seat.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<std::uint16_t>(port_));
        inet_pton(AF_INET, host_.c_str(), &to.sin_addr);
        (void)::connect(seat.fd, reinterpret_cast<sockaddr*>(&to), sizeof to);
        epoll_event event{EPOLLIN | EPOLLOUT | EPOLLET, {.u64 = number}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, seat.fd, &event);
        ++busy_;
        seat.asked = false;
        ask(seat);
    }

    void lose(std::size_t number)
    {
        Seat& seat = seats_[number];
        if (seat.fd >= 0) close(seat.fd);
        seat.fd = -1;
        seat.in.clear();
        seat.out.clear();
        if (std::exchange(seat.parked, false)) {
            --parked_;
            if (settled_ && !lost_) lost_ = Steady::now();
        } else {
            --busy_;
        }
        if (seat.stage != Stage::enrol && seat.stage != Stage::idle) seat.stage = Stage::token;
        seat.due = Steady::now() + std::chrono::milliseconds(std::max<std::int64_t>(10, std::uniform_int_distribution<std::int64_t>(0, seat.bound.count())(random_)));
        seat.bound = std::min(seat.bound * 2, std::chrono::milliseconds(30'000));
        waiting_.push_back(number);
    }

    void post(Seat& seat, std::string_view path, const std::string& body, bool with_token, std::string_view type = "application/json")
    {
        seat.out += fmt::format("POST {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: {}\r\n{}Content-Length: {}\r\n\r\n{}", path, host_, port_, type,
                                with_token ? "Authorization: Bearer " + seat.token + "\r\n" : "", body.size(), body);
    }

    void ask(Seat& seat)
    {
        switch (seat.stage) {
        case Stage::enrol:
            post(seat, "/agent/v1/enrol", dump_json(Json::object({{"version", 1}, {"must", Json::array()}, {"code", code_}, {"name", seat.name}, {"mode", "unattended"},
                                                                   {"publicKey", to_base64(seat.key.public_key)}, {"facts", Json::object()}})), false);
            break;
        case Stage::token: {
            const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
            const auto jwt = platform::make_jwt(seat.key.private_key, seat.id, dump_json(Json::object({{"iss", seat.id}, {"sub", seat.id}, {"aud", seat.token_url}, {"iat", now},
                                                                                                       {"exp", now + 55}, {"jti", to_hex(random_bytes(16))}, {"ctr", ++seat.counter}})));
            post(seat, "/agent/v1/token", "grant_type=client_credentials&client_assertion_type=" + percent_encode("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") +
                                              "&client_assertion=" + percent_encode(jwt.value_or("")), false, "application/x-www-form-urlencoded");
            break;
        }
        case Stage::session:
            post(seat, "/agent/v1/session", R"({"version":1,"must":[],"challenge":"Y2hhbGxlbmdl","mode":"unattended","slots":1,"facts":{},"held":[]})", true);
            break;
        case Stage::park:
            post(seat, "/agent/v1/offers", R"({"want":1,"answers":[]})", true);
            --busy_;
            seat.parked = true;
            seat.bound = std::chrono::milliseconds(250);
            if (++parked_ == seats_.size() && (!settled_ || lost_)) {   // not after each job
                fmt::print("{} {} {:.3f}\n", settled_ ? "back" : "parked", parked_, lost_ ? std::chrono::duration<double>(Steady::now() - *lost_).count() : 0.0);
                std::fflush(stdout);
                settled_ = true;
                lost_.reset();
            }
            break;
        case Stage::report: post(seat, "/agent/v1/events", seat.report, true); break;
        case Stage::idle: seat.out += fmt::format("GET /healthz HTTP/1.1\r\nHost: {}:{}\r\n\r\n", host_, port_); break;
        }
    }

    void handle(std::size_t number, std::uint32_t what)
    {
        Seat& seat = seats_[number];
        if (seat.fd < 0) return;
        if ((what & (EPOLLERR | EPOLLHUP)) != 0) return lose(number);
        if (!flush(seat)) return lose(number);
        if ((what & EPOLLIN) == 0) return;
        char buffer[16 * 1024];
        for (;;) {
            const ssize_t got = read(seat.fd, buffer, sizeof buffer);
            if (got > 0) seat.in.append(buffer, static_cast<std::size_t>(got));
            else if (got == 0) return lose(number);
            else if (errno == EAGAIN) break;
            else if (errno != EINTR) return lose(number);
        }
        while (seat.fd >= 0) {
            const std::size_t head = seat.in.find("\r\n\r\n");
            if (head == std::string::npos) return;
            const std::size_t at = seat.in.find("Content-Length: ");
            const std::size_t length = at == std::string::npos || at > head ? 0 : std::strtoul(seat.in.c_str() + at + 16, nullptr, 10);
            if (seat.in.size() < head + 4 + length) return;
            const int status = std::atoi(seat.in.c_str() + 9);
            const std::string body = seat.in.substr(head + 4, length);
            seat.in.erase(0, head + 4 + length);
            answer(number, status, body);
        }
    }

    bool flush(Seat& seat)
    {
        while (!seat.out.empty()) {
            const ssize_t sent = send(seat.fd, seat.out.data(), seat.out.size(), MSG_NOSIGNAL);
            if (sent > 0) seat.out.erase(0, static_cast<std::size_t>(sent));
            else if (errno == EAGAIN || errno == ENOTCONN) return true;
            else if (errno != EINTR) return false;
        }
        seat.out = {};   // thousands of these wait
        return true;
    }

    void answer(std::size_t number, int status, const std::string& body)
    {
        Seat& seat = seats_[number];
        const auto json = parse_json(body.empty() ? "{}" : body);
        if (std::exchange(seat.parked, false)) {
            --parked_;
            ++busy_;
        }
        if (status >= 300 || !json) {
            if (seat.stage != Stage::enrol && status == 401) seat.stage = Stage::token;
            else return lose(number);
        } else if (seat.stage == Stage::enrol) {
            seat.id = (*json)["agentId"].as_string();
            seat.token_url = (*json)["tokenUrl"].as_string();
            seat.stage = Stage::token;
        } else if (seat.stage == Stage::token) {
            seat.token = (*json)["access_token"].as_string();
            seat.stage = Stage::session;
        } else if (seat.stage == Stage::session || seat.stage == Stage::report) {
            seat.stage = Stage::park;
        } else if (seat.stage == Stage::park && !(*json)["offers"].empty()) {
            const Json& offer = (*json)["offers"][std::size_t{0}];
            const auto now = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch());
            fmt::print("offer {} {}\n", offer["job"].as_string(), now.count());
            std::fflush(stdout);
            Json attempt = Json::object({{"job", offer["job"]}, {"epoch", offer["epoch"]}, {"attempt", offer["attempt"]}});
            attempt.set("events", Json::array({Json::object({{"sequence", 1}, {"time", "2026-01-01T00:00:00.000000Z"}, {"kind", "state"},
                                                             {"body", Json::object({{"state", "failed"}, {"reason", "refused"}})}})}));
            seat.report = dump_json(Json::object({{"attempts", Json::array({attempt})}}));
            seat.stage = Stage::report;
        } else if (seat.stage == Stage::idle) {
            --busy_;
            if (!std::exchange(seat.asked, true) && ++parked_ == seats_.size()) {
                fmt::print("parked {} 0\n", parked_);
                std::fflush(stdout);
            }
            return;
        }
        ask(seat);
        if (!flush(seat)) lose(number);
    }

    std::string host_, url_, code_;
    int port_ = 0, epoll_ = -1;
    std::vector<Seat> seats_;
    std::vector<std::size_t> waiting_;
    std::size_t busy_ = 0, parked_ = 0;
    bool settled_ = false;
    std::optional<Steady::time_point> lost_;   ///< when the first of them lost its factory
    std::minstd_rand random_{1};
};

}  // namespace

int main(int argc, char** argv)
{
    const bool idle = argc == 4 && std::string_view(argv[1]) == "--idle";
    if (argc != 4) {
        std::fprintf(stderr, "bench_agents URL CODE COUNT | bench_agents --idle URL COUNT\n");
        return 64;
    }
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    const std::string url = argv[idle ? 2 : 1];
    const std::size_t colon = url.rfind(':');
    const std::string host = url.substr(7, colon - 7);
    return Bench(host, std::atoi(url.c_str() + colon + 1), url, idle ? "" : argv[2]).run(std::strtoul(argv[3], nullptr, 10), idle);
}
