// The state of a desktop: as signs, and for real with a bus, a logind of the test's own and an X server without a screen.
#include <atomic>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include <catch2/catch.hpp>
#include <unistd.h>
#include <xcb/xcb.h>

#include "platform/base/ids.h"
#include "platform/desktop_session.h"
#include "platform/files.h"
#include "platform/process.h"
#include "tests/unit/platform/desktop_world.h"

using namespace mill;
using namespace mill::test;
using namespace std::chrono_literals;
using platform::DesktopSession;
using platform::DesktopSigns;
using platform::DesktopState;

namespace {

struct Watched {
    std::atomic<int> changes = 0;
    std::unique_ptr<platform::DesktopWatch> watch;
    explicit Watched(const platform::DesktopOptions& options)
    {
        auto made = platform::watch_desktop([this](const DesktopSession&) { ++changes; }, options);
        REQUIRE(made);
        watch = std::move(*made);
    }
    bool becomes(DesktopState state) const
    {
        return soon([&] { return watch->now().state == state; });
    }
};

bool has(const DesktopSession& session, const std::string& unknown) { return std::find(session.unknown.begin(), session.unknown.end(), unknown) != session.unknown.end(); }

}  // namespace

TEST_CASE("the state of a desktop follows from its signs, the weightiest first", "[desktop]")
{
    DesktopSigns signs;
    CHECK(platform::session_of(signs).state == DesktopState::unknown);
    signs.asked = true;
    CHECK(platform::session_of(signs).state == DesktopState::none);
    CHECK(platform::session_of(signs).unknown.empty());
    signs.session = true;
    CHECK(platform::session_of(signs).state == DesktopState::active);
    CHECK(platform::session_of(signs).unknown == std::vector<std::string>{"user", "lock", "idle", "presentation"});
    signs.user = "anna";
    signs.idle = true;
    CHECK(platform::session_of(signs).state == DesktopState::idle);
    signs.fullscreen = true;
    CHECK(platform::session_of(signs).state == DesktopState::presentation);
    signs.locked = true;
    CHECK(platform::session_of(signs).state == DesktopState::locked);
    signs.active = false;
    CHECK(platform::session_of(signs).state == DesktopState::other_user);
    CHECK(platform::session_of(signs).unknown.empty());
}

TEST_CASE("where nobody can be asked it is not known who sits there, and nothing is made up", "[desktop]")
{
    const Variable system("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/at/all"), session("DBUS_SESSION_BUS_ADDRESS", ""), runtime("XDG_RUNTIME_DIR", ""), display("DISPLAY", ":4711"),
        wayland("WAYLAND_DISPLAY", "");
    Watched watched({});
    CHECK(watched.watch->now() == DesktopSession{});
    CHECK(watched.changes == 0);
}

TEST_CASE("logind's session: locked, idle and another's turn are heard as they happen, and nobody is asked in between", "[desktop]")
{
    PrivateBus bus;
    Service logind(bus.address, "org.freedesktop.login1");
    const Variable system("DBUS_SYSTEM_BUS_ADDRESS", bus.address), id("XDG_SESSION_ID", "c7"), wayland("WAYLAND_DISPLAY", "");
    platform::DesktopOptions options;
    options.session_bus = options.x11 = false;
    {
        Watched watched(options);
        const DesktopSession first = watched.watch->now();
        CHECK(first.state == DesktopState::active);
        CHECK(first.user == "anna");
        CHECK(first.display == "x11");
        CHECK(has(first, "presentation"));
        CHECK_FALSE(has(first, "lock"));
        logind.set("LockedHint", true);
        CHECK(watched.becomes(DesktopState::locked));
        logind.set("LockedHint", false);
        CHECK(watched.becomes(DesktopState::active));
        logind.set("IdleHint", true);
        CHECK(watched.becomes(DesktopState::idle));
        logind.set("Active", false);
        CHECK(watched.becomes(DesktopState::other_user));
        logind.set("Active", true);
        logind.set("IdleHint", false);
        CHECK(watched.becomes(DesktopState::active));
        CHECK(watched.changes >= 5);
        // The last signal's own look may still go on, also when the one before has seen it all.
        int reads = -1;
        CHECK(soon([&] {
            std::this_thread::sleep_for(200ms);
            const int now = logind.reads;
            return std::exchange(reads, now) == now;
        }));
        reads = logind.reads;
        std::this_thread::sleep_for(500ms);
        CHECK(logind.reads == reads);
    }
    SECTION("a bus that goes away takes what it said along")
    {
        Watched watched(options);
        CHECK(watched.watch->now().state == DesktopState::active);
        bus.daemon.reset();
        CHECK(watched.becomes(DesktopState::unknown));
    }
    SECTION("who is not logged in yet is nobody, until the login")
    {
        logind.known = false;
        Watched watched(options);
        CHECK(watched.watch->now().state == DesktopState::none);
        logind.log_in(true);
        CHECK(watched.becomes(DesktopState::active));
        logind.set("LockedHint", true);
        CHECK(watched.becomes(DesktopState::locked));
        logind.log_in(false);
        CHECK(watched.becomes(DesktopState::none));
    }
}

TEST_CASE("a screen saver of the session's bus locks the desktop, whoever else knows of a lock", "[desktop]")
{
    PrivateBus bus, sessions;
    Service logind(bus.address, "org.freedesktop.login1");
    Service saver(sessions.address, "org.freedesktop.ScreenSaver");
    const Variable system("DBUS_SYSTEM_BUS_ADDRESS", bus.address), id("XDG_SESSION_ID", "c7"), session("DBUS_SESSION_BUS_ADDRESS", sessions.address), wayland("WAYLAND_DISPLAY", "");
    platform::DesktopOptions options;
    options.x11 = false;
    SECTION("as it happens")
    {
        Watched watched(options);
        CHECK(watched.watch->now().state == DesktopState::active);
        saver.cover(true);
        CHECK(watched.becomes(DesktopState::locked));
        saver.cover(false);
        CHECK(watched.becomes(DesktopState::active));
    }
    SECTION("and when it did before anybody looked")
    {
        saver.flags["covered"] = true;
        Watched watched(options);
        CHECK(watched.watch->now().state == DesktopState::locked);
    }
}

TEST_CASE("an X server: idle by its own count of time, a window over the whole screen is a presentation", "[desktop]")
{
    if (!std::filesystem::exists("/usr/bin/Xvfb")) {
        WARN("SKIP: no Xvfb (packaging/install-packages test)");
        return;
    }
    const std::string number = ":" + std::to_string(200 + ::getpid() % 700);
    Child server("/usr/bin/Xvfb", {number, "-screen", "0", "640x480x24", "-nolisten", "tcp"});
    REQUIRE(soon([&] { return std::filesystem::exists("/tmp/.X11-unix/X" + number.substr(1)); }));
    const Variable display("DISPLAY", number), wayland("WAYLAND_DISPLAY", "");
    platform::DesktopOptions options;
    options.system_bus = options.session_bus = false;
    options.idle_after = 700ms;
    xcb_connection_t* x = nullptr;
    REQUIRE(soon([&] {
        x = xcb_connect(nullptr, nullptr);
        if (xcb_connection_has_error(x) == 0) return true;
        xcb_disconnect(x);
        return false;
    }));
    const auto atom = [&](const std::string& name) {
        auto* reply = xcb_intern_atom_reply(x, xcb_intern_atom(x, 0, static_cast<std::uint16_t>(name.size()), name.c_str()), nullptr);
        const xcb_atom_t out = reply->atom;
        std::free(reply);
        return out;
    };
    const xcb_window_t root = xcb_setup_roots_iterator(xcb_get_setup(x)).data->root;
    {
        Watched watched(options);
        CHECK(watched.watch->now().display == "x11");
        CHECK(has(watched.watch->now(), "lock"));
        CHECK(has(watched.watch->now(), "presentation"));   // no window manager says which window is in front
        for (int round = 0; round < 2; ++round) {           // an alarm that went off goes off again
            CHECK(watched.becomes(DesktopState::idle));
            xcb_force_screen_saver(x, XCB_SCREEN_SAVER_RESET);   // as a key does
            xcb_flush(x);
            CHECK(watched.becomes(DesktopState::active));
        }
    }
    options.idle_after = 60'000ms;
    {
        Watched watched(options);
        const xcb_window_t window = xcb_generate_id(x);
        xcb_create_window(x, XCB_COPY_FROM_PARENT, window, root, 0, 0, 640, 480, 0, XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT, 0, nullptr);
        xcb_change_property(x, XCB_PROP_MODE_REPLACE, root, atom("_NET_ACTIVE_WINDOW"), XCB_ATOM_WINDOW, 32, 1, &window);
        xcb_flush(x);
        CHECK(soon([&] { return !has(watched.watch->now(), "presentation"); }));
        CHECK(watched.watch->now().state == DesktopState::active);
        const xcb_atom_t full = atom("_NET_WM_STATE_FULLSCREEN");
        xcb_change_property(x, XCB_PROP_MODE_REPLACE, window, atom("_NET_WM_STATE"), XCB_ATOM_ATOM, 32, 1, &full);
        xcb_flush(x);
        CHECK(watched.becomes(DesktopState::presentation));
        const xcb_window_t none = 0;
        xcb_change_property(x, XCB_PROP_MODE_REPLACE, root, atom("_NET_ACTIVE_WINDOW"), XCB_ATOM_WINDOW, 32, 1, &none);
        xcb_destroy_window(x, window);
        xcb_flush(x);
        CHECK(watched.becomes(DesktopState::active));
        xcb_disconnect(x);
        server.process->signal(SIGTERM);
        CHECK(watched.becomes(DesktopState::unknown));
    }
}

TEST_CASE("an X server that somebody inside its session tells of is looked at, with its cookie", "[desktop]")
{
    if (!std::filesystem::exists("/usr/bin/Xvfb")) {
        WARN("SKIP: no Xvfb (packaging/install-packages test)");
        return;
    }
    BusFolder folder;
    const std::string number = std::to_string(900 + ::getpid() % 700), authority = folder.path + "/authority";
    const auto entry = [](std::uint16_t family, const std::string& display, const std::string& kind, const std::string& value) {
        std::string out;
        const auto two = [&](std::size_t n) { out += {static_cast<char>(n >> 8), static_cast<char>(n & 0xff)}; };
        two(family);
        for (const std::string& part : {std::string("here"), display, kind, value}) {
            two(part.size());
            out += part;
        }
        return out;
    };
    const std::string cookie = "0123456789abcdef", kind = "MIT-MAGIC-COOKIE-1";
    // Those of another machine, another display and another kind stand before it; the last one is cut off.
    const std::string file = entry(0, number, kind, "fedcba9876543210") + entry(256, "1", kind, "fedcba9876543210") + entry(256, number, "XDM-AUTHORIZATION-1", "x") + entry(256, number, kind, cookie);
    std::ofstream(authority, std::ios::binary) << file << entry(256, number, kind, cookie).substr(0, 9);
    Child server("/usr/bin/Xvfb", {":" + number, "-screen", "0", "640x480x24", "-nolisten", "tcp", "-auth", authority});
    REQUIRE(soon([&] { return std::filesystem::exists("/tmp/.X11-unix/X" + number); }));
    const Variable display("DISPLAY", ""), wayland("WAYLAND_DISPLAY", ""), home("HOME", folder.path), own("XAUTHORITY", "");
    platform::DesktopOptions options;
    options.system_bus = options.session_bus = false;
    Watched watched(options);
    CHECK(watched.watch->now().state == DesktopState::unknown);
    for (const char* wrong : {"/none", "/empty"}) {   // and whoever tells nonsense does no harm
        std::ofstream(folder.path + "/empty");
        watched.watch->look_at({":" + number, folder.path + wrong});
    }
    watched.watch->look_at({":" + number + ".0", authority});
    CHECK(watched.becomes(DesktopState::active));
    CHECK(watched.watch->now().display == "x11");
    watched.watch->look_at({":1", authority});        // one is enough
    server.process->signal(SIGTERM);
    CHECK(watched.becomes(DesktopState::unknown));
}

TEST_CASE("the lock of what a person has once is the same before and in a session", "[desktop]")
{
    BusFolder folder;
    const Variable runtime("XDG_RUNTIME_DIR", folder.path);
    {
        const Variable id("XDG_SESSION_ID", ""), display("DISPLAY", ""), wayland("WAYLAND_DISPLAY", "");
        CHECK(platform::desktop_lock_path("agent") == folder.path + "/agent.lock");
    }
    {
        const Variable id("XDG_SESSION_ID", "c7"), display("DISPLAY", ":7"), wayland("WAYLAND_DISPLAY", "wayland-0");
        CHECK(platform::desktop_lock_path("agent") == folder.path + "/agent.lock");
    }
    const Variable gone("XDG_RUNTIME_DIR", folder.path + "/gone");
    CHECK(platform::desktop_lock_path("agent").empty());
}
