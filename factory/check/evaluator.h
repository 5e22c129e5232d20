// factory/check/evaluator.h -- jq expressions, evaluated somewhere else than in this process.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/json.h"

namespace mill::factory {

/// What is wrong with one of the expressions that were asked for.
struct ExpressionMistake {
    std::size_t index = 0;
    std::string text;
};

/// The values, in the order asked for; or the first expression that has none, and why.
struct ExpressionValues {
    std::vector<Json> values;
    std::optional<ExpressionMistake> mistake;
};

/// Thread: any. `done` is called once, on a thread of the evaluator, which it may block for a moment only; or the answer is false: too much
/// waits already. Errors it gets: unavailable (this machine cannot evaluate: says what is missing), cancelled (it stops); any other is the
/// expressions' doing: timeout, too_large (memory, a document or values beyond the bounds), corrupt (the evaluation crashed).
class ExpressionEvaluator {
public:
    virtual ~ExpressionEvaluator() = default;   ///< ends what runs; what waits is told `cancelled`

    virtual void stop() = 0;   ///< the same, and takes no more

    using Expressions = std::vector<std::string>;   ///< of one notifier: nothing else is evaluated in the same sandbox
    virtual bool compile(Expressions expressions, std::function<void(Result<std::vector<ExpressionMistake>>)> done) = 0;
    /// `which`: indices into `expressions`.
    virtual bool evaluate(Expressions expressions, Json document, std::vector<std::size_t> which, std::function<void(Result<ExpressionValues>)> done) = 0;
};

}  // namespace mill::factory
