#include "platform/notifications.h"

#include <cstdint>

#include "platform/desktop/bus.h"

namespace mill::platform {
namespace {

constexpr const char *kService = "org.freedesktop.Notifications", *kPath = "/org/freedesktop/Notifications";
constexpr std::uint32_t kDismissed = 2;   // NotificationClosed's reason

/// A server with body-markup reads tags and entities; one without shows the text as it is.
std::string without_markup(const std::string& text)
{
    std::string out;
    for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
    return out;
}

}  // namespace

Notifications::Notifications(SessionBus& bus, Heard heard) : bus_(bus.connection()), heard_(std::move(heard))
{
    desktop::on_owner(bus_, kService, [this](bool there) {
        for (auto& [name, open] : open_) open.id = 0;   // those were another server's
        if (there) return find_server();
        there_ = actions_ = false;
        heard_.changed();
    });
    desktop::on_signal(bus_, kService, kService, "ActionInvoked", [this](sd_bus_message* message) {
        std::uint32_t id = 0;
        const char* action = nullptr;
        if (sd_bus_message_read(message, "us", &id, &action) < 0) return;
        if (const std::string name = name_of(id); !name.empty()) heard_.action(name, action);
    });
    desktop::on_signal(bus_, kService, kService, "NotificationClosed", [this](sd_bus_message* message) {
        std::uint32_t id = 0, reason = 0;
        if (sd_bus_message_read(message, "uu", &id, &reason) < 0) return;
        const std::string name = name_of(id);
        if (name.empty()) return;
        open_.erase(name);
        if (reason == kDismissed) heard_.dismissed(name);
    });
    find_server();
}

/// The first call to it starts one where the desktop has one that is started so.
void Notifications::find_server()
{
    if (looking_) return;
    looking_ = true;
    desktop::Call(bus_, kService, kPath, kService, "GetCapabilities").send([this](sd_bus_message* answer, const std::string&) {
        looking_ = false;
        there_ = answer != nullptr;
        actions_ = markup_ = false;
        if (answer != nullptr && sd_bus_message_enter_container(answer, 'a', "s") > 0) {
            const char* one = nullptr;
            while (sd_bus_message_read(answer, "s", &one) > 0) {
                actions_ = actions_ || std::string_view(one) == "actions";
                markup_ = markup_ || std::string_view(one) == "body-markup";
            }
        }
        if (there_)
            for (const auto& [name, open] : open_)
                if (open.id == 0) tell(name);
        heard_.changed();
    });
}

void Notifications::show(const std::string& name, Notice notice)
{
    Open& open = open_[name];
    if (open.number == 0) open.number = ++last_;
    if (open.notice == notice) return;
    open.notice = std::move(notice);
    if (!there_) return find_server();
    tell(name);
}

void Notifications::tell(const std::string& name)
{
    Open& open = open_.at(name);
    if (open.asked) {
        open.stale = true;
        return;
    }
    open.asked = true;
    open.stale = false;
    const Notice& notice = open.notice;
    desktop::Call call(bus_, kService, kPath, kService, "Notify");
    sd_bus_message* const out = *call;
    const std::string body = markup_ ? without_markup(notice.body) : notice.body;
    sd_bus_message_append(out, "susss", "Millwright", open.id, "millwright", notice.title.c_str(), body.c_str());
    sd_bus_message_open_container(out, 'a', "s");
    if (actions_)
        for (const auto& [action, label] : notice.actions) sd_bus_message_append(out, "ss", action.c_str(), label.c_str());
    sd_bus_message_close_container(out);
    sd_bus_message_open_container(out, 'a', "{sv}");
    sd_bus_message_append(out, "{sv}", "urgency", "y", 1);
    desktop::append_text(out, "desktop-entry", "millwright-companion");
    sd_bus_message_close_container(out);
    sd_bus_message_append(out, "i", notice.stays ? 0 : -1);
    call.send([this, name, number = open.number](sd_bus_message* answer, const std::string&) {
        std::uint32_t id = 0;
        if (answer == nullptr || sd_bus_message_read(answer, "u", &id) < 0) id = 0;
        told(name, number, id);
    });
}

void Notifications::told(const std::string& name, std::uint64_t number, std::uint32_t id)
{
    const auto found = open_.find(name);
    if (found == open_.end() || found->second.number != number) return close_id(id);   // closed before the server had a number for it
    found->second.asked = false;
    found->second.id = id;
    if (found->second.stale) tell(name);
}

void Notifications::close(const std::string& name)
{
    const auto found = open_.find(name);
    if (found == open_.end()) return;
    const std::uint32_t id = found->second.id;
    open_.erase(found);
    close_id(id);
}

void Notifications::close_id(std::uint32_t id)
{
    if (id == 0 || !there_) return;
    desktop::Call call(bus_, kService, kPath, kService, "CloseNotification");
    sd_bus_message_append(*call, "u", id);
    call.send();
}

std::string Notifications::name_of(std::uint32_t id) const
{
    for (const auto& [name, open] : open_)
        if (open.id == id && id != 0) return name;
    return {};
}

}  // namespace mill::platform
