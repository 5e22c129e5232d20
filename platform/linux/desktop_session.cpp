// What logind (org.freedesktop.login1), the screen saver of the session's bus and the X server say of themselves, each in its own events.
#include "platform/desktop_session.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/base/os_error.h"
#include "platform/files.h"
#include "platform/linux/x11_session.h"

namespace mill::platform {
namespace {

constexpr std::uint64_t kCallMicroseconds = 1'000'000;
constexpr const char* kLogind = "org.freedesktop.login1";
constexpr const char* kLogindPath = "/org/freedesktop/login1";
constexpr const char* kManager = "org.freedesktop.login1.Manager";
constexpr const char* kSession = "org.freedesktop.login1.Session";

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

struct CloseBus {
    void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
using Bus = std::unique_ptr<sd_bus, CloseBus>;

struct FreeMessage {
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
struct FreeSlot {
    void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using Message = std::unique_ptr<sd_bus_message, FreeMessage>;

int mark(sd_bus_message*, void* changed, sd_bus_error*)
{
    *static_cast<bool*>(changed) = true;
    return 0;
}

/// This process's session at logind. Thread: one at a time.
class Logind {
public:
    void open()
    {
        sd_bus* bus = nullptr;
        if (sd_bus_open_system(&bus) < 0) return;
        bus_.reset(bus);
        (void)sd_bus_set_method_call_timeout(bus, kCallMicroseconds);
        if (!is_there()) return bus_.reset();
        // An agent that is there before its person, or longer.
        for (const char* signal : {"SessionNew", "SessionRemoved"}) (void)sd_bus_match_signal(bus, nullptr, kLogind, kLogindPath, kManager, signal, mark, &sessions_changed_);
        follow();
    }
    sd_bus* bus() const { return bus_.get(); }
    void close()
    {
        slot_.reset();
        bus_.reset();
        path_.clear();
    }
    /// True when what it says may be different now.
    bool process()
    {
        int more = 1;
        while (more > 0) more = sd_bus_process(bus_.get(), nullptr);
        if (more < 0) {
            close();
            return true;
        }
        const bool sessions = std::exchange(sessions_changed_, false);
        if (!changed_ && !sessions) return false;
        if (sessions) follow();
        else read();
        return true;
    }
    void say(DesktopSigns& to) const
    {
        if (!bus_) return;
        to.asked = true;
        if (path_.empty()) return;
        to.session = true;
        to.user = signs_.user;
        if (signs_.display != "none") to.display = signs_.display;
        to.active = signs_.active;
        to.locked = signs_.locked;
        to.idle = signs_.idle;
    }

private:
    bool is_there() const
    {
        sd_bus_message* reply = nullptr;
        if (sd_bus_call_method(bus_.get(), "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", nullptr, &reply, "s", kLogind) < 0) return false;
        const Message answer(reply);
        int owned = 0;
        return sd_bus_message_read(reply, "b", &owned) >= 0 && owned != 0;
    }
    /// The session that this process belongs to now.
    void follow()
    {
        const std::string path = find();
        if (path != path_) slot_.reset();
        if (path != path_ && !path.empty()) {
            sd_bus_slot* slot = nullptr;
            (void)sd_bus_match_signal(bus_.get(), &slot, kLogind, path.c_str(), "org.freedesktop.DBus.Properties", "PropertiesChanged", mark, &changed_);
            slot_.reset(slot);
        }
        path_ = path;
        if (!path_.empty()) read();
    }
    std::string path_of(sd_bus_message* reply) const
    {
        const char* path = nullptr;
        return reply != nullptr && sd_bus_message_read(reply, "o", &path) >= 0 && path != nullptr ? path : "";
    }
    /// The session of XDG_SESSION_ID; else of this process; else the user's, when a service of that user runs this.
    std::string find()
    {
        sd_bus_message* reply = nullptr;
        if (const std::string id = environment("XDG_SESSION_ID"); !id.empty())
            if (sd_bus_call_method(bus_.get(), kLogind, kLogindPath, kManager, "GetSession", nullptr, &reply, "s", id.c_str()) >= 0) return path_of(Message(reply).get());
        if (sd_bus_call_method(bus_.get(), kLogind, kLogindPath, kManager, "GetSessionByPID", nullptr, &reply, "u", 0U) >= 0) return path_of(Message(reply).get());
        if (sd_bus_call_method(bus_.get(), kLogind, kLogindPath, kManager, "GetUser", nullptr, &reply, "u", static_cast<unsigned>(::geteuid())) < 0) return {};
        const std::string user = path_of(Message(reply).get());
        if (user.empty() || sd_bus_get_property(bus_.get(), kLogind, user.c_str(), "org.freedesktop.login1.User", "Display", nullptr, &reply, "(so)") < 0) return {};
        const Message display(reply);
        const char *id = nullptr, *path = nullptr;
        return sd_bus_message_read(display.get(), "(so)", &id, &path) >= 0 && id != nullptr && *id != '\0' ? path : "";
    }
    std::optional<bool> flag(const char* property) const
    {
        int value = 0;
        if (sd_bus_get_property_trivial(bus_.get(), kLogind, path_.c_str(), kSession, property, nullptr, 'b', &value) < 0) return std::nullopt;
        return value != 0;
    }
    std::string text(const char* property) const
    {
        char* value = nullptr;
        if (sd_bus_get_property_string(bus_.get(), kLogind, path_.c_str(), kSession, property, nullptr, &value) < 0) return {};
        std::string out = value;
        std::free(value);
        return out;
    }
    void read()
    {
        changed_ = false;   // what comes from here on is read again
        signs_.active = flag("Active");
        signs_.locked = flag("LockedHint");
        signs_.idle = flag("IdleHint");
        signs_.user = text("Name");
        const std::string type = text("Type");
        signs_.display = type == "x11" || type == "wayland" ? type : "none";
    }

    Bus bus_;
    std::unique_ptr<sd_bus_slot, FreeSlot> slot_;   // of the session's properties; before its bus
    std::string path_;
    bool changed_ = false, sessions_changed_ = false;
    DesktopSigns signs_;
};

/// Screen savers of the session's bus: whether one covers the screen.
class ScreenSavers {
public:
    void open()
    {
        if (environment("DBUS_SESSION_BUS_ADDRESS").empty() && !exists(environment("XDG_RUNTIME_DIR") + "/bus")) return;
        sd_bus* bus = nullptr;
        if (sd_bus_open_user(&bus) < 0) return;
        bus_.reset(bus);
        (void)sd_bus_set_method_call_timeout(bus, kCallMicroseconds);
        for (const char* name : {"org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver"}) {
            const std::string match = std::string("type='signal',interface='") + name + "',member='ActiveChanged'";
            (void)sd_bus_add_match(bus, nullptr, match.c_str(), on_signal, this);
            if (!locked_) ask(name);
        }
    }
    sd_bus* bus() const { return bus_.get(); }
    bool process()
    {
        const auto before = locked_;
        int more = 1;
        while (more > 0) more = sd_bus_process(bus_.get(), nullptr);
        if (more < 0) {
            bus_.reset();
            locked_.reset();
        }
        return locked_ != before;
    }
    void say(DesktopSigns& to) const
    {
        if (locked_) to.locked = to.locked.value_or(false) || *locked_;
    }

private:
    static int on_signal(sd_bus_message* message, void* self, sd_bus_error*)
    {
        int active = 0;
        if (sd_bus_message_read(message, "b", &active) >= 0) static_cast<ScreenSavers*>(self)->locked_ = active != 0;
        return 0;
    }
    /// One that runs; none is started for that.
    void ask(const std::string& name)
    {
        std::string path = "/" + name;
        std::replace(path.begin(), path.end(), '.', '/');
        sd_bus_message *call = nullptr, *reply = nullptr;
        if (sd_bus_message_new_method_call(bus_.get(), &call, name.c_str(), path.c_str(), name.c_str(), "GetActive") < 0) return;
        const Message request(call);
        (void)sd_bus_message_set_auto_start(call, 0);
        if (sd_bus_call(bus_.get(), call, 0, nullptr, &reply) < 0) return;
        const Message answer(reply);
        int active = 0;
        if (sd_bus_message_read(reply, "b", &active) >= 0) locked_ = active != 0;
    }

    Bus bus_;
    std::optional<bool> locked_;
};

class LinuxDesktop : public DesktopWatch {
public:
    LinuxDesktop(int wake, std::function<void(const DesktopSession&)> changed, const DesktopOptions& options) : wake_(wake), changed_(std::move(changed)), options_(options)
    {
        if (options.system_bus) logind_.open();
        if (options.session_bus) savers_.open();
        if (options.x11) x11_.open(options.idle_after);
        (void)look();
        thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
    }
    LinuxDesktop(const LinuxDesktop&) = delete;
    LinuxDesktop& operator=(const LinuxDesktop&) = delete;
    ~LinuxDesktop() override
    {
        thread_.request_stop();
        ring();
        thread_.join();
        ::close(wake_);
    }
    void look_at(DesktopPlace place) override
    {
        {
            const std::scoped_lock lock(mutex_);
            told_ = std::move(place);
        }
        ring();
    }
    DesktopSession now() const override
    {
        const std::scoped_lock lock(mutex_);
        return now_;
    }

private:
    void ring() const
    {
        const std::uint64_t one = 1;
        while (write(wake_, &one, sizeof one) < 0 && errno == EINTR) {}
    }
    /// Whoever told it may be told by another desktop later, or by the same one again.
    bool open_told()
    {
        std::uint64_t rung = 0;
        (void)!read(wake_, &rung, sizeof rung);
        DesktopPlace place;
        {
            const std::scoped_lock lock(mutex_);
            place = std::exchange(told_, {});
        }
        if (!options_.x11 || x11_.valid() || place.display.empty()) return false;
        x11_.open(options_.idle_after, place);
        if (x11_.valid()) (void)x11_.process();
        else log::info("desktop", "the X server {} does not let this program look: whether something is shown full screen is not known", place.display);
        return x11_.valid();
    }
    bool look()
    {
        DesktopSigns signs;
        if (!environment("WAYLAND_DISPLAY").empty()) signs.display = "wayland";
        x11_.say(signs);
        const std::optional<bool> idle = signs.idle;
        logind_.say(signs);
        if (idle) signs.idle = idle;   // of the keys and the mouse themselves; logind's hint is set by some desktops only
        savers_.say(signs);
        if (signs.display == "wayland") {
            signs.session = true;
            if (!signs.fullscreen.value_or(false)) signs.fullscreen.reset();   // windows that are not X's are not seen
        }
        const DesktopSession next = session_of(signs);
        const std::scoped_lock lock(mutex_);
        if (now_ == next) return false;
        now_ = next;
        return true;
    }
    static int wait_of(sd_bus* bus)
    {
        std::uint64_t until = 0;
        if (bus == nullptr || sd_bus_get_timeout(bus, &until) < 0 || until == UINT64_MAX) return -1;
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        const std::uint64_t microseconds = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
        return until <= microseconds ? 0 : static_cast<int>(std::min<std::uint64_t>((until - microseconds) / 1'000 + 1, 60'000));
    }
    void run(std::stop_token stop)
    {
        if (x11_.valid() && x11_.process() && look()) changed_(now());   // what came with the first answers
        while (true) {
            std::vector<pollfd> waited{{wake_, POLLIN, 0}};
            int wait = -1;
            for (sd_bus* bus : {logind_.bus(), savers_.bus()}) {
                if (bus == nullptr) continue;
                const int events = sd_bus_get_events(bus);
                waited.push_back({sd_bus_get_fd(bus), static_cast<short>(events < 0 ? POLLIN : events), 0});
                if (const int own = wait_of(bus); own >= 0) wait = wait < 0 ? own : std::min(wait, own);
            }
            if (x11_.valid()) waited.push_back({x11_.descriptor(), POLLIN, 0});
            if (::poll(waited.data(), waited.size(), wait) < 0 && errno != EINTR) return;
            if (stop.stop_requested()) return;
            bool news = (waited[0].revents & POLLIN) != 0 && open_told();
            news = (logind_.bus() != nullptr && logind_.process()) || news;
            news = (savers_.bus() != nullptr && savers_.process()) || news;
            news = (x11_.valid() && x11_.process()) || news;
            if (news && look()) changed_(now());
        }
    }

    const int wake_;
    std::function<void(const DesktopSession&)> changed_;
    const DesktopOptions options_;
    Logind logind_;
    ScreenSavers savers_;
    X11Session x11_;
    mutable std::mutex mutex_;
    DesktopSession now_;
    DesktopPlace told_;
    std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<DesktopWatch>> watch_desktop(std::function<void(const DesktopSession&)> changed, const DesktopOptions& options)
{
    const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) return fail(Errc::unavailable, "the desktop's session cannot be watched: " + os_error(errno));
    return std::unique_ptr<DesktopWatch>(new LinuxDesktop(wake, std::move(changed), options));
}

}  // namespace mill::platform
