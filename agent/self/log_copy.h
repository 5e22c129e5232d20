// agent/self/log_copy.h -- which of the program's log lines go to which factory.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/log.h"
#include "protocol/event.h"

namespace mill::agent {

class OwnLog;

/// As long as it lives, what the program logs goes to the factories, too: what a factory's own threads say, or what speaks of an attempt
/// of one, to that factory alone; what is said of the machine to each.
class LogCopy {
public:
    struct Target {
        std::string factory_id;
        OwnLog* log = nullptr;
        std::function<bool(const protocol::AttemptId& id)> knows;  ///< thread: any; asked for lines of the room "job" only
    };
    explicit LogCopy(std::vector<Target> targets);
    LogCopy(const LogCopy&) = delete;
    LogCopy& operator=(const LogCopy&) = delete;
    ~LogCopy();

    /// As long as it lives, what this thread logs is of that factory.
    class Of {
    public:
        explicit Of(const std::string& factory_id);
        Of(const Of&) = delete;
        Of& operator=(const Of&) = delete;
        ~Of();
    };

private:
    void copy(log::Level level, std::string_view room, std::string_view text) const;
    const std::vector<Target> targets_;
};

/// The one whose key a line begins with, before its colon.
std::optional<protocol::AttemptId> attempt_in_line(std::string_view text);

}  // namespace mill::agent
