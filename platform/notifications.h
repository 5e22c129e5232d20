// platform/notifications.h -- notices that the desktop shows, with buttons (Desktop Notifications Specification 1.2).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "platform/session_bus.h"

namespace mill::platform {

struct Notice {
    std::string title, body;                                   ///< plain text: what the desktop would read as markup is escaped
    std::vector<std::pair<std::string, std::string>> actions;  ///< (name, label); "default" is a click on the notice itself
    bool stays = false;                                        ///< until it is answered or closed; else as long as the desktop likes
    bool operator==(const Notice&) const = default;
};

/// Notices by names that the caller makes. A desktop's server that comes, or comes again, is told all that are open. Thread: that of the bus.
class Notifications {
public:
    struct Heard {
        std::function<void(const std::string& name, const std::string& action)> action;
        std::function<void(const std::string& name)> dismissed;  ///< the person put it away, without an action
        std::function<void()> changed;                           ///< what `there` and `actions` say
    };
    Notifications(SessionBus& bus, Heard heard);

    void show(const std::string& name, Notice notice);  ///< another one of that name is replaced; the same one is not shown again
    void close(const std::string& name);
    bool there() const { return there_; }               ///< something shows notices
    bool actions() const { return actions_; }           ///< with buttons

private:
    struct Open {
        Notice notice;
        std::uint64_t number = 0;    ///< ours, never used twice
        std::uint32_t id = 0;        ///< the server's; 0: not shown yet
        bool asked = false;          ///< it is being told
        bool stale = false;          ///< changed meanwhile
    };
    void find_server();
    void tell(const std::string& name);
    void told(const std::string& name, std::uint64_t number, std::uint32_t id);
    void close_id(std::uint32_t id);
    std::string name_of(std::uint32_t id) const;

    SessionBus::Connection& bus_;
    const Heard heard_;
    std::map<std::string, Open> open_;
    std::uint64_t last_ = 0;
    bool there_ = false, actions_ = false, markup_ = false, looking_ = false;
};

}  // namespace mill::platform
