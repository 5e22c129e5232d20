// factory/chat/said_answer.h -- what a person says in a chat, as the answer that a question wants.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace mill::factory {

struct SaidAnswer {
    Json value;
    std::string comment;   ///< of yes and no: what was said behind it
};

/// "#3fa9 yes" → "3fa9", and `text` is "yes". Empty: no mark stands before it.
std::string take_mark(std::string& text);

/// "yes", "OK!", "no: too dear". Nothing: it is neither.
std::optional<SaidAnswer> read_yes_or_no(std::string_view text);

/// By the question's schema: yes or no, a number, one of its words, a text; an object with one such member is taken for that. Errors: invalid, what is expected.
Result<SaidAnswer> read_answer(std::string_view text, const Json& schema);

/// What is expected, as a person reads it: "yes or no".
std::string expected_words(const Json& schema);

}  // namespace mill::factory
