// Steps a second of the interpreter alone: trivial steps, a loop, and a loop that collects rows. Prints one line of JSON each.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "tests/support/workflow_run.h"

namespace {

using namespace mill;
using namespace mill::testing;

void measure(const char* name, const std::string& flow, const Json& input, double steps)
{
    const auto package = lone(flow);
    if (!findings(*package).empty()) {
        std::fputs(findings(*package).c_str(), stderr);
        std::exit(1);
    }
    workflows::RunOptions options;
    options.steps = false;
    options.cloud_events = false;
    options.max_steps = 100'000'000;
    const auto begin = std::chrono::steady_clock::now();
    const Ran ran = drive(package, input, {}, options);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (ran.phase != workflows::Phase::completed) {
        std::fprintf(stderr, "%s: %s\n", name, ran.words().c_str());
        std::exit(1);
    }
    std::printf("{\"bench\":\"%s\",\"steps\":%.0f,\"seconds\":%.3f,\"stepsPerSecond\":%.0f}\n", name, steps, seconds, steps / seconds);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv)
{
    const long n = argc > 1 ? std::atol(argv[1]) : 200'000;
    Json numbers = Json::array();
    for (long i = 0; i < n; ++i) numbers.push(static_cast<long long>(i));
    measure("loop of set with a path", "do: [ { l: { for: { each: x, in: .all }, do: [ { s: { set: { all: 1, x: '${ $x }' } } } ] } } ]", Json::object({{"all", numbers}}), 1.0 * static_cast<double>(n));
    measure("loop of set with jq", "do: [ { l: { for: { each: x, in: .all }, do: [ { s: { set: { n: '${ (.n // 0) + $x }' } } } ] } } ]", Json::object({{"all", numbers}}), 1.0 * static_cast<double>(n));
    Json rows = Json::array();
    for (int i = 0; i < 10'000; ++i) {
        Json row = Json::object();
        for (int c = 0; c < 10; ++c) row.set(fmt::format("column{}", c), c % 2 == 0 ? Json(i * c) : Json(fmt::format("value {} of {}", c, i)));
        rows.push(std::move(row));
    }
    measure("collecting 10,000 rows", "do: [ { l: { for: { each: row, in: .rows }, do: [ { k: { set: '${ $row }', output: { as: '$input + {done: (($input.done // []) + [.])}' } } } ] } } ]",
            Json::object({{"rows", rows}}), 10'000);
    return 0;
}
