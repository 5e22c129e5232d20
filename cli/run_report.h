// cli/run_report.h -- what a local run says while it runs: JSON lines in; log and steps for the person, events for a file, and the end.
#pragma once

#include <iosfwd>
#include <optional>
#include <string_view>

#include "cli/console.h"
#include "platform/base/json.h"

namespace mill::cli {

class RunReport {
public:
    /// `events` may be null.
    RunReport(Console& console, std::ostream* events, bool trace) : console_(console), events_(events), trace_(trace) {}
    /// One line of `millwright-agent once`. Errors: corrupt (not one of its lines).
    Status take(std::string_view line);
    /// {state, reason, output, error}, once it has been said.
    const std::optional<Json>& ended() const { return ended_; }

private:
    void show_event(const Json& event);
    void show_trace(const Json& trace);

    Console& console_;
    std::ostream* events_;
    bool trace_;
    std::optional<Json> ended_;
};

}  // namespace mill::cli
