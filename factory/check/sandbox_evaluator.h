// factory/check/sandbox_evaluator.h -- jq by millwright-runner in sandboxes in which nothing is allowed, kept for a while for the next document.
#pragma once

#include <chrono>
#include <memory>

#include "factory/check/evaluator.h"
#include "platform/base/units.h"

namespace mill::factory {

struct SandboxEvaluatorOptions {
    std::string runner{};                     ///< empty: millwright-runner beside this program
    std::chrono::milliseconds time{15'000};   ///< of one answer, by the clock; an expression ends by itself after a second of a processor
    ByteCount memory = mebibytes(256);
    std::size_t threads = 2;                  ///< all that one notifier asks for is one thread's
    std::size_t kept = 4;                     ///< sandboxes of a thread, each for the expressions of one notifier: compiled once, 40 ms
    std::size_t served = 10'000;              ///< documents; then a fresh one
    std::chrono::milliseconds idle{20'000};   ///< then it goes
    std::size_t waiting = 1024;
};

std::unique_ptr<ExpressionEvaluator> make_sandbox_evaluator(SandboxEvaluatorOptions options = {});

}  // namespace mill::factory
