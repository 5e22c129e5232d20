// agent/runner/rehearsal.h -- a test's run: stand-ins answer for calls, the clock jumps, what was called is written down.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/runner/effects.h"
#include "agent/runner/pace.h"
#include "workflows/interpreter.h"
#include "workflows/stand_ins.h"

namespace mill::runner {

/// Thread: one.
class Rehearsal {
public:
    /// `asked` is `rehearsal` of `begin` (protocol/README.md). Errors: invalid.
    static Result<std::unique_ptr<Rehearsal>> make(const Json& asked, Json input, Pace& pace);

    /// For RunOptions::stands_in.
    bool names(const workflows::Task& task) const { return stand_ins_->names(task); }
    /// The request itself when it is to happen for real; else a stand-in answers later, or there is a problem.
    std::optional<workflows::EffectRequest> take(workflows::EffectRequest request);
    void cancel(std::uint64_t id);
    std::vector<Effects::Answer> due();
    /// Nothing happens for real at the moment, and the interpreter wants to go on at `wake`: the clock jumps to what comes next.
    void jump(std::optional<SteadyTime> wake);
    /// Why the test cannot go on; empty as long as it can.
    const std::string& problem() const { return problem_; }

    /// {calls, problem, checks, jumpedMs}. `fault` is null when the run completed.
    Json report(const Json& output, const Json& fault);

private:
    struct Waiting {
        SteadyTime due;
        Effects::Answer answer;
    };
    explicit Rehearsal(Pace& pace) : pace_(pace) {}
    Json checked(const Json& output, const Json& fault) const;

    Pace& pace_;
    Json input_;
    std::unique_ptr<workflows::StandIns> stand_ins_;
    std::vector<workflows::Expression> checks_;
    std::unique_ptr<workflows::Program> program_;
    std::vector<Waiting> waiting_;
    Json calls_ = Json::array();
    std::size_t call_bytes_ = 0;
    std::string problem_;
};

}  // namespace mill::runner
