// cli/step_prompt.h -- `millwright run --step`: what a person types while the run stands still, and what is said back.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "platform/base/redact.h"

namespace mill::cli {

/// One typed line. `send` is what the runner is told (protocol/README.md, `step`); without it `local` says what is done here.
struct StepCommand {
    enum class Local { none, where, help, abort, mistake } local = Local::none;
    std::optional<Json> send;
    std::string text;  ///< of a mistake
};
/// "" and "s" step, "n" goes over what the task holds, "c" continues, "u TASK" until, "w" where, "q" abort, "h" help; all else is a jq
/// expression ("= n" when it would be read as a command).
StepCommand read_step(std::string_view line);

/// Reads standard input whenever the run stands still. Thread: the main one.
class StepPrompt {
public:
    using Send = std::function<void(const Json&)>;
    /// `leave` cancels the run.
    StepPrompt(Context& context, const Redactor& redactor, Send send, std::function<void()> leave)
        : context_(context), redactor_(redactor), send_(std::move(send)), leave_(std::move(leave)) {}
    /// A line of `millwright-agent once`: paused, looked; others are nothing to it.
    void hear(const Json& line);

private:
    void show_place(bool whole);
    void ask();

    Context& context_;
    const Redactor& redactor_;
    Send send_;
    std::function<void()> leave_;
    Json here_;
    bool left_ = false, greeted_ = false;
};

}  // namespace mill::cli
