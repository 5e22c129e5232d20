// factory/api/question_checks.h -- whether an answer fits what was asked. Private to factory/api.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "factory/api/service.h"

namespace mill::factory::handler {

/// "/order: is missing" as {path, text}: for a form that shows it beside its field.
Json mistake_json(const std::string& mistake);

/// Checks the answer and gives it; answers the caller. `for_form`: mistakes as mistake_json makes them.
void give_answer(Service& service, const CallPtr& call, const QuestionRecord& question, QuestionAnswer answer, Who who, bool for_form);

/// Calls `then` with all mistakes of `answer` against the question's schema: at once when that is light work, else when the sandbox has looked.
/// False when too much waits already; `then` is not called.
bool check_answer(Service& service, const QuestionRecord& question, const Json& answer, std::function<void(Result<std::vector<std::string>>)> then);

/// What its agent is told of a question: {job, epoch, attempt, question, state, answer, by, comment, at, why}.
Json asked_json(const protocol::AttemptId& id, const QuestionRecord& question);

}  // namespace mill::factory::handler
