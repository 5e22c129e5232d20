#include "platform/session_bus.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include <poll.h>
#include <time.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/desktop/bus.h"

namespace mill::platform {
namespace {

constexpr std::uint64_t kPatience = 10'000'000;   // µs, for an answer of another program

std::uint64_t monotonic_now()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);   // sd_bus_get_timeout's clock
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

Error bus_error(int number, std::string_view what)
{
    const int plain = number < 0 ? -number : number;
    const Errc code = plain == ENOENT || plain == ENOMEDIUM || plain == ECONNREFUSED ? Errc::not_found
                      : plain == EACCES || plain == EPERM                            ? Errc::denied
                                                                                     : Errc::unavailable;
    return {code, fmt::format("{}: {}", what, os_error(plain))};
}

}  // namespace

Result<std::unique_ptr<SessionBus>> SessionBus::open()
{
    auto connection = std::make_unique<Connection>();
    const int opened = sd_bus_open_user_with_description(&connection->bus, "millwright-companion");
    if (opened < 0) return fail(bus_error(opened, "the session's bus (DBUS_SESSION_BUS_ADDRESS)"));
    std::unique_ptr<SessionBus> bus(new SessionBus(std::move(connection)));
    sd_bus_set_method_call_timeout(bus->connection_->bus, kPatience);
    const char* name = nullptr;
    // The bus has said hello only when it gave us a name.
    if (const int named = sd_bus_get_unique_name(bus->connection_->bus, &name); named < 0) return fail(bus_error(named, "the session's bus"));
    return bus;
}

SessionBus::SessionBus(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

SessionBus::~SessionBus() { sd_bus_flush_close_unref(connection_->bus); }

Status SessionBus::serve(const std::vector<const Handle*>& others, std::optional<std::chrono::milliseconds> wait)
{
    sd_bus* const bus = connection_->bus;
    const std::uint64_t end = wait ? monotonic_now() + static_cast<std::uint64_t>(std::chrono::microseconds(*wait).count()) : UINT64_MAX;
    while (true) {
        int done = 1;
        for (int i = 0; done > 0 && i < 64; ++i) done = sd_bus_process(bus, nullptr);   // others get their turn, whatever the bus says
        if (done < 0 || connection_->failed) return fail(bus_error(done < 0 ? done : -ENOMEM, "the session's bus"));
        if (sd_bus_is_open(bus) <= 0) return fail(Errc::unavailable, "the session's bus is gone");
        std::vector<pollfd> set{{sd_bus_get_fd(bus), static_cast<short>(sd_bus_get_events(bus)), 0}};
        for (const Handle* other : others)
            if (other != nullptr && other->valid()) set.push_back({other->native(), POLLIN, 0});
        std::uint64_t until = UINT64_MAX;
        sd_bus_get_timeout(bus, &until);
        if (done > 0) until = 0;
        const std::uint64_t now = monotonic_now(), next = std::min(until, end);
        const int left = next == UINT64_MAX ? -1 : next <= now ? 0 : static_cast<int>(std::min<std::uint64_t>((next - now + 999) / 1000, 1'000'000'000));
        if (::poll(set.data(), set.size(), left) < 0 && errno != EINTR) return fail(bus_error(errno, "the session's bus"));
        if (std::any_of(set.begin() + 1, set.end(), [](const pollfd& each) { return each.revents != 0; })) return {};
        if (set.front().revents == 0 && monotonic_now() >= end) return {};
    }
}

namespace desktop {
namespace {

using Heard = std::function<void(sd_bus_message*)>;
using Answered = std::function<void(sd_bus_message*, const std::string&)>;

/// What is called back lives as long as its slot.
template <class Function>
int keep(sd_bus_slot* slot, Function* function)
{
    sd_bus_slot_set_userdata(slot, function);
    sd_bus_slot_set_destroy_callback(slot, [](void* held) { delete static_cast<Function*>(held); });
    return sd_bus_slot_set_floating(slot, 1);
}

int heard_signal(sd_bus_message* message, void* held, sd_bus_error*)
{
    (*static_cast<Heard*>(held))(message);
    return 0;
}

int heard_answer(sd_bus_message* message, void* held, sd_bus_error*)
{
    const sd_bus_error* error = sd_bus_message_get_error(message);
    const std::string words = error == nullptr ? "" : error->message != nullptr ? error->message : error->name != nullptr ? error->name : "an error without words";
    (*static_cast<Answered*>(held))(error == nullptr ? message : nullptr, words);
    return 0;
}

void match(SessionBus::Connection& at, const std::string& rule, Heard heard)
{
    auto* held = new Heard(std::move(heard));
    sd_bus_slot* slot = nullptr;
    if (sd_bus_add_match_async(at.bus, &slot, rule.c_str(), heard_signal, nullptr, held) < 0) {
        delete held;
        at.failed = true;
        return;
    }
    keep(slot, held);
}

}  // namespace

Call::Call(SessionBus::Connection& at, const char* service, const char* path, const char* interface, const char* member) : at_(at)
{
    // Only what no program may be called is refused here: a watcher's or portal's word of itself.
    if (sd_bus_message_new_method_call(at.bus, &message_, service, path, interface, member) < 0) message_ = nullptr;
}

void Call::send(Answered answered)
{
    if (message_ == nullptr) return answered(nullptr, "it cannot be called");
    auto* held = new Answered(std::move(answered));
    sd_bus_slot* slot = nullptr;
    if (const int sent = sd_bus_call_async(at_.bus, &slot, message_, heard_answer, held, 0); sent < 0) {
        (*held)(nullptr, os_error(-sent));
        delete held;
        return;
    }
    keep(slot, held);
}

void Call::send()
{
    if (message_ != nullptr) sd_bus_send(at_.bus, message_, nullptr);
}

void on_signal(SessionBus::Connection& at, const std::string& sender, const std::string& interface, const std::string& member, Heard heard)
{
    match(at, fmt::format("type='signal',sender='{}',interface='{}',member='{}'", sender, interface, member), std::move(heard));
}

void on_owner(SessionBus::Connection& at, const std::string& name, std::function<void(bool)> heard)
{
    match(at, fmt::format("type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{}'", name),
          [heard = std::move(heard)](sd_bus_message* message) {
              const char *which = nullptr, *before = nullptr, *now = nullptr;
              if (sd_bus_message_read(message, "sss", &which, &before, &now) >= 0) heard(*now != '\0');
          });
}

void append_text(sd_bus_message* to, const char* key, const std::string& value) { sd_bus_message_append(to, "{sv}", key, "s", value.c_str()); }
void append_flag(sd_bus_message* to, const char* key, bool value) { sd_bus_message_append(to, "{sv}", key, "b", value ? 1 : 0); }

}  // namespace desktop
}  // namespace mill::platform
