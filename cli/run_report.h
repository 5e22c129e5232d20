// cli/run_report.h -- what a local run says while it runs: JSON lines in; log and steps for the person, events for a file, and the end.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string_view>

#include "cli/console.h"
#include "cli/trace_view.h"
#include "platform/base/json.h"

namespace mill::cli {

class RunReport {
public:
    /// `events` and `trace` may be null. `other` gets each line of another kind (paused, looked, resumed, rehearsed).
    RunReport(Console& console, const Redactor& redactor, std::ostream* events, TraceView* trace, std::function<void(const Json&)> other = {})
        : console_(console), redactor_(redactor), events_(events), trace_(trace), other_(std::move(other)) {}
    /// One line of `millwright-agent once`. Errors: corrupt (not one of its lines).
    Status take(std::string_view line);
    /// {state, reason, output, error}, once it has been said.
    const std::optional<Json>& ended() const { return ended_; }

private:
    void show_event(const Json& event);

    Console& console_;
    const Redactor& redactor_;
    std::ostream* events_;
    TraceView* trace_;
    std::function<void(const Json&)> other_;
    std::optional<Json> ended_;
};

}  // namespace mill::cli
