// agent/runner/asking.h -- what people are asked by this run: said to the agent, answered by it, checked, put away with the run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/runner/effects.h"
#include "platform/base/json.h"
#include "workflows/interpreter.h"

namespace mill::runner {

/// The result of the effect "ask" of what a stand-in says: an answer, or {approved, …} of an approval. Errors: it is no answer to that.
Outcome<Json> answer_of_stand_in(const Json& question, const Json& value);

/// Each question has a uid, under which all hops know it; an answer counts once. Thread: one.
class Asking {
public:
    using Send = std::function<void(const Json& message)>;
    explicit Asking(Send send) : send_(std::move(send)) {}

    /// Who is there to be asked: "factory", "terminal", "nobody"; empty: the agent is older and asks nobody.
    void begin(std::string whom) { whom_ = std::move(whom); }
    bool at_terminal() const { return whom_ == "terminal"; }
    void start(const workflows::EffectRequest& request, WallTime now);
    void cancel(std::uint64_t effect, std::string_view why);
    /// `answered` of the job channel. True when it was taken: the run goes on.
    bool hear(const Json& answered);
    void say_again();                        ///< a new agent
    std::vector<Effects::Answer> take() { return std::exchange(answers_, {}); }
    bool answered() const { return !answers_.empty(); }

    Json saved() const;                      ///< [{effect, ask}]
    Status restore(const Json& saved);       ///< and says them again

private:
    std::map<std::uint64_t, Json> open_;     // by the interpreter's number
    std::vector<Effects::Answer> answers_;
    std::size_t asks_ = 0;                   // ever
    std::string whom_;
    Send send_;
};

}  // namespace mill::runner
