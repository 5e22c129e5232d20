#include <catch2/catch.hpp>

#include <csignal>
#include <cstdlib>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/service_host.h"

using namespace mill::platform;

TEST_CASE("SIGTERM and SIGINT become a stop request, SIGHUP does not", "[platform][service_host]")
{
    for (const int number : {SIGTERM, SIGINT}) {
        ServiceHost host;
        CHECK_FALSE(host.stop().stop_requested());
        kill(getpid(), SIGHUP);
        kill(getpid(), number);
        host.wait();
        CHECK(host.stop().stop_requested());
    }
}

TEST_CASE("a polled host shows its signals on a handle", "[platform][service_host]")
{
    ServiceHost host(ServiceHost::Mode::polled);
    kill(getpid(), SIGHUP);
    CHECK_FALSE(host.take_signals().stop);
    kill(getpid(), SIGTERM);
    CHECK(host.take_signals().stop);
    CHECK_FALSE(host.take_signals().stop);
}

TEST_CASE("the service manager is told by the notification protocol", "[platform][service_host]")
{
    const Handle socket(::socket(AF_UNIX, SOCK_DGRAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/tmp/mill-notify-" + std::to_string(getpid());
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    unlink(path.c_str());
    REQUIRE(bind(socket.native(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    ServiceHost host(ServiceHost::Mode::polled);
    host.ready("all\nwell");
    unsetenv("NOTIFY_SOCKET");
    char text[100] = {};
    CHECK(recv(socket.native(), text, sizeof text, MSG_DONTWAIT) > 0);
    CHECK(std::string(text) == "READY=1\nSTATUS=all well");
    unlink(path.c_str());
    host.stopping();  // without a manager: nothing
}
