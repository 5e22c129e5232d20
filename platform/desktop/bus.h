// platform/desktop/bus.h -- sd-bus for the files of this folder: calls that answer later, signals, names that come and go.
#pragma once

#include <functional>
#include <string>

#include <systemd/sd-bus.h>

#include "platform/session_bus.h"

namespace mill::platform {

struct SessionBus::Connection {
    sd_bus* bus = nullptr;
    bool failed = false;   ///< a message could not be made: no memory
};

namespace desktop {

/// A message that is being made; let go when it was not sent.
class Call {
public:
    Call(SessionBus::Connection& at, const char* service, const char* path, const char* interface, const char* member);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { sd_bus_message_unref(message_); }

    sd_bus_message* operator*() const { return message_; }
    /// `answered`, on the bus's thread, gets nullptr when there is no answer or it is an error, whose words are the second.
    void send(std::function<void(sd_bus_message* answer, const std::string& error)> answered);
    void send();   ///< nobody waits for an answer

private:
    SessionBus::Connection& at_;
    sd_bus_message* message_ = nullptr;
};

/// From the owner of `sender` alone. For as long as the bus.
void on_signal(SessionBus::Connection& at, const std::string& sender, const std::string& interface, const std::string& member, std::function<void(sd_bus_message*)> heard);
/// When the name gets another owner or none.
void on_owner(SessionBus::Connection& at, const std::string& name, std::function<void(bool there)> heard);

/// One member of a{sv}: a basic type's.
void append_text(sd_bus_message* to, const char* key, const std::string& value);
void append_flag(sd_bus_message* to, const char* key, bool value);

}  // namespace desktop
}  // namespace mill::platform
