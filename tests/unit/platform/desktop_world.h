// tests/unit/platform/desktop_world.h -- for tests of a desktop's state: programs that end with the test, a D-Bus daemon of the test's own, and a thread that plays logind on it.
#pragma once
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <systemd/sd-bus.h>

#include "platform/base/ids.h"
#include "platform/files.h"
#include "platform/process.h"

namespace mill::test {

using namespace std::chrono_literals;

struct BusFolder {
    std::string path = (std::filesystem::temp_directory_path() / ("mill-desktop-" + new_uid())).string();
    BusFolder() { std::filesystem::create_directories(path); }
    BusFolder(const BusFolder&) = delete;
    ~BusFolder() { std::filesystem::remove_all(path); }
};

struct Variable {
    std::string name, before;
    bool was;
    Variable(const char* variable, const std::string& value) : name(variable), before(std::getenv(variable) ? std::getenv(variable) : ""), was(std::getenv(variable) != nullptr)
    {
        if (value.empty()) unsetenv(variable);
        else setenv(variable, value.c_str(), 1);
    }
    Variable(const Variable&) = delete;
    ~Variable()
    {
        if (was) setenv(name.c_str(), before.c_str(), 1);
        else unsetenv(name.c_str());
    }
};

struct Child {
    std::unique_ptr<platform::Process> process;
    Child(const std::string& program, std::vector<std::string> arguments)
    {
        platform::ProcessSpec spec;
        spec.program = program;
        spec.arguments = std::move(arguments);
        spec.environment = {{"PATH", "/usr/bin:/bin"}};
        auto started = platform::start_process(spec);
        REQUIRE(started);
        process = std::move(*started);
    }
    ~Child()
    {
        process->signal(SIGTERM);
        (void)process->wait(5s);
    }
};

inline bool soon(const std::function<bool()>& holds)
{
    for (int i = 0; i < 500; ++i) {
        if (holds()) return true;
        std::this_thread::sleep_for(20ms);
    }
    return false;
}

/// A socket has its name before anybody takes connections there.
inline bool listens(const std::string& path)
{
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    REQUIRE(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    const int line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool taken = connect(line, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(line);
    return taken;
}

/// A bus without a system behind it.
struct PrivateBus {
    BusFolder folder;
    std::string address = "unix:path=" + folder.path + "/bus";
    std::unique_ptr<Child> daemon;
    PrivateBus()
    {
        std::ofstream(folder.path + "/conf") << "<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN' 'http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd'>"
                                                "<busconfig><type>session</type><listen>" << address
                                             << "</listen><policy context='default'><allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/></policy></busconfig>";
        daemon = std::make_unique<Child>("/usr/bin/dbus-daemon", std::vector<std::string>{"--nofork", "--config-file=" + folder.path + "/conf"});
        REQUIRE(soon([&] { return listens(folder.path + "/bus"); }));
    }
};

/// Plays logind, or a screen saver, on a bus: one thread, its values set by the test.
class Service {
public:
    Service(const std::string& address, const char* name)
    {
        REQUIRE(sd_bus_new(&bus_) >= 0);
        REQUIRE(sd_bus_set_address(bus_, address.c_str()) >= 0);
        REQUIRE(sd_bus_set_bus_client(bus_, 1) >= 0);
        REQUIRE(sd_bus_start(bus_) >= 0);
        static const sd_bus_vtable manager[] = {SD_BUS_VTABLE_START(0), SD_BUS_METHOD("GetSession", "s", "o", get_session, SD_BUS_VTABLE_UNPRIVILEGED), SD_BUS_SIGNAL("SessionNew", "so", 0),
                                                SD_BUS_SIGNAL("SessionRemoved", "so", 0), SD_BUS_VTABLE_END};
        static const sd_bus_vtable session[] = {SD_BUS_VTABLE_START(0),
                                                SD_BUS_PROPERTY("Active", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                                                SD_BUS_PROPERTY("LockedHint", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                                                SD_BUS_PROPERTY("IdleHint", "b", get_flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                                                SD_BUS_PROPERTY("Name", "s", get_text, 0, 0),
                                                SD_BUS_PROPERTY("Type", "s", get_text, 0, 0),
                                                SD_BUS_VTABLE_END};
        static const sd_bus_vtable saver[] = {SD_BUS_VTABLE_START(0), SD_BUS_METHOD("GetActive", "", "b", get_active, SD_BUS_VTABLE_UNPRIVILEGED), SD_BUS_SIGNAL("ActiveChanged", "b", 0), SD_BUS_VTABLE_END};
        REQUIRE(sd_bus_add_object_vtable(bus_, nullptr, "/org/freedesktop/login1", "org.freedesktop.login1.Manager", manager, this) >= 0);
        REQUIRE(sd_bus_add_object_vtable(bus_, nullptr, kPath, "org.freedesktop.login1.Session", session, this) >= 0);
        REQUIRE(sd_bus_add_object_vtable(bus_, nullptr, "/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver", saver, this) >= 0);
        REQUIRE(sd_bus_request_name(bus_, name, 0) >= 0);
        thread_ = std::jthread([this](std::stop_token stop) {
            while (!stop.stop_requested()) {
                const std::scoped_lock lock(mutex_);
                while (sd_bus_process(bus_, nullptr) > 0) {}
                (void)sd_bus_wait(bus_, 10'000);
            }
        });
    }
    ~Service()
    {
        thread_.request_stop();
        thread_.join();
        sd_bus_close_unref(bus_);
    }
    void set(const char* property, bool value)
    {
        const std::scoped_lock lock(mutex_);
        flags[property] = value;
        REQUIRE(sd_bus_emit_properties_changed(bus_, kPath, "org.freedesktop.login1.Session", property, nullptr) >= 0);
        REQUIRE(sd_bus_flush(bus_) >= 0);
    }
    void log_in(bool in)
    {
        const std::scoped_lock lock(mutex_);
        known = in;
        REQUIRE(sd_bus_emit_signal(bus_, "/org/freedesktop/login1", "org.freedesktop.login1.Manager", in ? "SessionNew" : "SessionRemoved", "so", "c7", kPath) >= 0);
        REQUIRE(sd_bus_flush(bus_) >= 0);
    }
    void cover(bool active)
    {
        const std::scoped_lock lock(mutex_);
        REQUIRE(sd_bus_emit_signal(bus_, "/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver", "ActiveChanged", "b", active ? 1 : 0) >= 0);
        REQUIRE(sd_bus_flush(bus_) >= 0);
    }
    std::map<std::string, bool> flags{{"Active", true}, {"LockedHint", false}, {"IdleHint", false}, {"covered", false}};
    std::atomic<int> reads = 0;
    std::atomic<bool> known = true;          // whether the session is there

private:
    static constexpr const char* kPath = "/org/freedesktop/login1/session/c7";
    static int get_session(sd_bus_message* call, void* self, sd_bus_error*)
    {
        const char* id = nullptr;
        if (sd_bus_message_read(call, "s", &id) < 0 || std::string(id) != "c7" || !static_cast<Service*>(self)->known) return -ENOENT;
        return sd_bus_reply_method_return(call, "o", kPath);
    }
    static int get_flag(sd_bus*, const char*, const char*, const char* property, sd_bus_message* reply, void* self, sd_bus_error*)
    {
        ++static_cast<Service*>(self)->reads;
        return sd_bus_message_append(reply, "b", static_cast<Service*>(self)->flags[property] ? 1 : 0);
    }
    static int get_text(sd_bus*, const char*, const char*, const char* property, sd_bus_message* reply, void*, sd_bus_error*)
    {
        return sd_bus_message_append(reply, "s", std::string(property) == "Name" ? "anna" : "x11");
    }
    static int get_active(sd_bus_message* call, void* self, sd_bus_error*) { return sd_bus_reply_method_return(call, "b", static_cast<Service*>(self)->flags["covered"] ? 1 : 0); }

    sd_bus* bus_ = nullptr;
    std::mutex mutex_;
    std::jthread thread_;
};

}  // namespace mill::test
