// workflows/stand_ins.h -- who answers for a call in a test: matched by name and arguments, with a result, an error or a sequence.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "workflows/document.h"
#include "workflows/expression.h"
#include "workflows/interpreter.h"
#include "workflows/manifest.h"

namespace mill::workflows {

struct StandInAnswer {
    enum class Kind { result, response, error, never } kind = Kind::result;
    Json value;             ///< the result; {status, headers, body}; {type, status, title, detail}
    Milliseconds after{0};  ///< in the run's time
};

struct StandIn {
    std::string call, task;    ///< one of them: what is called; the task's name or pointer
    std::optional<Json> with;  ///< arguments, partial
    Expression when;           ///< on the arguments; empty text: always
    std::vector<StandInAnswer> answers;
    bool sequence = false;     ///< each answer once, in order
    std::size_t used = 0;
};

/// A call as the test sees it: secrets are named, not handles.
struct Called {
    std::string task, name, call;
    Json with;
};
Called called(const EffectRequest& request);
/// `[secret NAME.FIELD]` wherever a handle stands.
Json name_secrets(const Json& value);

/// Reads `standIns:`. Every mistake is a complaint with its pointer; the result is to be used only without any.
std::vector<StandIn> read_stand_ins(const Json& list, const std::string& pointer, const Complaint& complain);

/// What the effect comes to. Errors: the fault that the stand-in names.
tl::expected<Json, Fault> outcome_of(const StandInAnswer& answer, const EffectRequest& request);

/// The stand-ins of one run. Runs libjq. Thread: one.
class StandIns {
public:
    /// Errors: invalid (a `when` that does not compile).
    static Result<std::unique_ptr<StandIns>> make(std::vector<StandIn> stand_ins, std::vector<std::string> real);

    struct Choice {
        const StandInAnswer* answer = nullptr;
        bool real = false;      ///< nobody stands in, and the case says that it may happen
        std::string why_none;   ///< neither: what is missing
    };
    Choice choose(const Called& call);
    bool names(const Task& task) const;                 ///< some stand-in may be meant for it
    const std::vector<StandIn>& all() const { return stand_ins_; }

private:
    std::vector<StandIn> stand_ins_;
    std::vector<std::string> real_;
    std::unique_ptr<Program> program_;
};

}  // namespace mill::workflows
