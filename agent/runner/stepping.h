// agent/runner/stepping.h -- a person goes through the run task by task: where it stands still, and what is answered there.
#pragma once

#include <functional>
#include <string>

#include "agent/runner/pace.h"
#include "platform/base/json.h"
#include "workflows/interpreter.h"

namespace mill::runner {

/// Stands before the first task. While it stands, the run's time does, too. Thread: one.
class Stepping {
public:
    using Send = std::function<void(const Json& message)>;
    Stepping(workflows::Interpreter& interpreter, Pace& pace, Send send);

    /// After each advance: says `paused` once for each stop.
    void look_up();
    /// One `step` of the job channel (protocol/README.md). What is not known, or comes while the run goes on, is answered with an error.
    void hear(const Json& command);
    bool standing() const { return told_; }

private:
    enum class Mode { step, over, until, run };
    bool wanted(const workflows::Pause& here) const;
    void go(Mode mode);
    void answer(const Result<Json>& result);

    workflows::Interpreter& interpreter_;
    Pace& pace_;
    Send send_;
    Mode mode_ = Mode::step;
    std::size_t depth_ = 0;
    std::string target_;
    bool told_ = false;
};

}  // namespace mill::runner
