// agent/runner/effects.h -- where each effect of the interpreter goes: the broker, a command, the workspace, the log.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/runner/commands.h"
#include "agent/runner/reporter.h"
#include "platform/base/clock.h"
#include "platform/base/redact.h"
#include "workflows/interpreter.h"

namespace mill::runner {

/// The value without anything that looks like a secret's handle. For all that comes from outside: input and results.
Json from_outside(Json value);

/// Every effect that was started is answered once, unless it was cancelled. Thread: one.
class Effects {
public:
    struct Answer {
        std::uint64_t id = 0;
        Outcome<Json> outcome;
    };
    using Send = std::function<void(std::string)>;
    Effects(const Clock& clock, Reporter& reporter, Commands& commands, std::string workspace, Send to_broker, std::function<void()> broker_anew = {});

    void start(workflows::EffectRequest request);
    void cancel(std::uint64_t id);
    void hear(std::string_view text);      ///< a message of the broker
    void broker_lost(std::string_view why, bool for_good);
    void expire(SteadyTime now);           ///< a broker that does not keep its deadlines
    std::optional<SteadyTime> next_deadline() const;
    std::vector<Answer> take();            ///< what is to be told to the interpreter
    bool answered() const { return answers_.empty(); }  ///< `take` has nothing
    bool idle() const { return answers_.empty() && open_.empty(); }

private:
    struct Open {
        std::uint64_t id = 0;                     ///< the interpreter's
        std::string effect, task;
        SteadyTime deadline;
        Milliseconds timeout{0};
        std::optional<CommandRequest> command;    ///< waits for the verdict on plans[plan]
        std::size_t plan = 0;
        Json first_error;                         ///< of the plan that needs the least
        bool own_limit = false;                   ///< the workflow gave a timeout
        std::vector<std::string> secrets;         ///< NAME.FIELD that the command is to be given
        std::optional<CommandPlan> granted;       ///< waits for their values
    };
    void start_local(const workflows::EffectRequest& request);
    void start_command(const workflows::EffectRequest& request);
    void ask(Open open, const std::string& effect, const Json& with);
    void on_error(Open open, const Json& error);
    void on_granted(Open open, const std::string& path);
    void on_values(Open open, const Json& values);
    void start_granted(Open open);
    Milliseconds left(const Open& open) const;
    void note_start(const CommandPlan& plan, const std::vector<std::string>& secrets, const std::string& task);
    void answer(std::uint64_t id, Outcome<Json> outcome) { answers_.push_back({id, std::move(outcome)}); }

    const Clock& clock_;
    Reporter& reporter_;
    Commands& commands_;
    std::string workspace_;
    Send to_broker_;
    std::function<void()> broker_anew_;
    bool broker_gone_ = false;
    std::uint64_t next_ = 1;
    std::map<std::uint64_t, Open> open_;  // by the number on the wire
    std::vector<Answer> answers_;
    Redactor revealed_;  ///< what commands were given: it is masked in what comes out of them
};

}  // namespace mill::runner
