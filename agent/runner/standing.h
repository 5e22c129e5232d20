// agent/runner/standing.h -- a run that waits for people and nothing else: its time stands still, and the agent keeps what it goes on from.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "agent/runner/asking.h"
#include "agent/runner/reporter.h"
#include "workflows/interpreter.h"

namespace mill::runner {

inline constexpr std::size_t kMostSnapshot = 4 * 1024 * 1024;

/// What the agent keeps is void before the run goes on: by an answer the agent sees to that, by a timer the run asks for it first.
/// Thread: one.
class Standing {
public:
    struct Parts {
        const Clock& clock;
        Reporter& reporter;
        const Asking& asking;
        std::string workspace;
        std::function<void(const Json& message)> send;
    };
    explicit Standing(Parts parts) : parts_(std::move(parts)) {}

    /// After each advance. `stands`: it waits for people and nothing else.
    void look(const workflows::Interpreter& run, bool stands);
    /// A timer is due while the agent keeps a snapshot: false until the agent has said that it is gone.
    bool may_go();
    bool asked_to_go() const { return kept_ && asked_; }
    void on_go() { kept_ = asked_ = false; }    ///< the agent's `go`, and each answer
    void say_again(const workflows::Interpreter& run);   ///< a new agent
    void restored(Milliseconds waited);   ///< it stood before, and the agent still has that

private:
    void say(const workflows::Interpreter& run);
    Result<Json> snapshot(const workflows::Interpreter& run) const;
    Milliseconds waited() const;

    Parts parts_;
    bool stands_ = false;
    bool kept_ = false, asked_ = false;         // the agent has it; was asked to forget it
    bool warned_ = false, renew_ = false;
    SteadyTime since_;
    Milliseconds waited_{0};                    // before `since_`
};

}  // namespace mill::runner
