#include "platform/service_host.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include <pthread.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/channel.h"
#include "platform/posix/wait.h"

namespace mill::platform {
namespace {

/// One datagram to the service manager (sd_notify(3)); nothing when there is none.
void notify(std::string_view text)
{
    const char* address = std::getenv("NOTIFY_SOCKET");
    if (address == nullptr || (*address != '/' && *address != '@')) return;
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    const std::size_t length = std::strlen(address);
    if (length >= sizeof to.sun_path) return;
    std::memcpy(to.sun_path, address, length);
    if (to.sun_path[0] == '@') to.sun_path[0] = '\0';  // an abstract name
    const Handle socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) return;
    (void)sendto(socket.native(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

std::string one_line(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        if (c == '\n' || c == '\r') c = ' ';
    return out;
}

}  // namespace

struct ServiceHost::State {
    Handle signals;
    std::stop_source stop;
    std::jthread watcher;
};

ServiceHost::ServiceHost(Mode mode) : state_(new State)
{
    sigset_t held;
    sigemptyset(&held);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&held, number);
    pthread_sigmask(SIG_BLOCK, &held, nullptr);
    signal(SIGPIPE, SIG_IGN);
    state_->signals = Handle(signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK));
    if (mode == Mode::polled) return;
    state_->watcher = std::jthread([this](const std::stop_token& end) {
        pthread_setname_np(pthread_self(), "signals");
        while (true) {
            const auto ready = wait_ready(state_->signals.native(), POLLIN, {}, end);
            if (!ready) return;
            if (take_signals().stop) state_->stop.request_stop();
        }
    });
}

ServiceHost::~ServiceHost()
{
    state_->watcher = {};
    delete state_;
}

std::stop_token ServiceHost::stop() const { return state_->stop.get_token(); }
void ServiceHost::request_stop() { state_->stop.request_stop(); }

void ServiceHost::wait()
{
    // A descriptor that never becomes ready: only the stop request ends this.
    (void)wait_ready(-1, 0, {}, state_->stop.get_token());
}

const Handle& ServiceHost::signals() const { return state_->signals; }

bool ServiceHost::wait_for(std::chrono::milliseconds time)
{
    (void)wait_ready(-1, 0, SteadyPoint::clock::now() + time, state_->stop.get_token());
    return state_->stop.stop_requested();
}

ServiceHost::Came ServiceHost::take_signals()
{
    signalfd_siginfo info{};
    Came came;
    while (read(state_->signals.native(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        came.stop = came.stop || info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
        came.reload = came.reload || info.ssi_signo == SIGHUP;
    }
    return came;
}

void ServiceHost::ready(std::string_view status) { notify("READY=1\nSTATUS=" + one_line(status)); }
void ServiceHost::status(std::string_view status) { notify("STATUS=" + one_line(status)); }
void ServiceHost::stopping() { notify("STOPPING=1"); }
void ServiceHost::alive() { notify("WATCHDOG=1"); }

std::optional<std::chrono::milliseconds> ServiceHost::watchdog() const
{
    const char* time = std::getenv("WATCHDOG_USEC");
    const char* whose = std::getenv("WATCHDOG_PID");
    if (time == nullptr || (whose != nullptr && std::strtol(whose, nullptr, 10) != getpid())) return std::nullopt;
    const long long microseconds = std::strtoll(time, nullptr, 10);
    if (microseconds <= 0) return std::nullopt;
    return std::chrono::milliseconds(std::max<long long>(microseconds / 2000, 1));
}

}  // namespace mill::platform
