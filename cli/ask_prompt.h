// cli/ask_prompt.h -- `millwright run` at a terminal: what a workflow asks a person is asked here.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "platform/base/redact.h"

namespace mill::cli {

/// What a typed line means as an answer to a question with this schema (its `x-kind` as in docs/questions.md). Errors: invalid, in words. A
/// file is read: not_found, denied, too_large.
Result<Json> read_typed(std::string_view line, const Json& schema);
/// "yes or no", "1 to 3, or one of its words", …
std::string typed_words(const Json& schema);

/// Reads standard input whenever something is asked. Thread: the main one.
class AskPrompt {
public:
    using Send = std::function<void(const Json&)>;
    AskPrompt(Context& context, const Redactor& redactor, Send send) : context_(context), redactor_(redactor), send_(std::move(send)) {}
    /// A line of `millwright-agent once`: ask; others are nothing to it.
    void hear(const Json& line);

private:
    Context& context_;
    const Redactor& redactor_;
    Send send_;
};

}  // namespace mill::cli
