// The interpreter alone: steps a second in jobs of 10 to 1,000,000 steps, memory along a long loop, a loop that collects rows, and
// the check of a package with 1,000 tasks. Figures, and ratios to floors of the same run; never a pass or fail.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include <unistd.h>

#include "tests/support/workflow_run.h"

namespace {

using namespace mill;
using namespace mill::testing;

const char* const kLoop = "do: [ { l: { for: { each: x, in: .all }, do: [ { s: { set: { all: 1, x: '${ $x }' } } } ] } } ]";
const char* const kJqLoop = "do: [ { l: { for: { each: x, in: .all }, do: [ { s: { set: { n: '${ (.n // 0) + $x }' } } } ] } } ]";
const char* const kRows = "do: [ { l: { for: { each: row, in: .rows }, do: [ { k: { set: '${ $row }', output: { as: '$input + {done: (($input.done // []) + [.])}' } } } ] } } ]";

double seconds(const std::function<void()>& work)
{
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(int times, const std::function<double()>& once)
{
    std::vector<double> all;
    for (int i = 0; i < times; ++i) all.push_back(once());
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
}

void say(const std::string& name, double value, const char* unit)
{
    std::printf("%-52s %12.3f %s\n", name.c_str(), value, unit);
    std::fflush(stdout);
}

[[noreturn]] void give_up(const std::string& why)
{
    std::fprintf(stderr, "bench_interpreter: %s\n", why.c_str());
    std::exit(1);
}

double resident_mib()
{
    std::ifstream file("/proc/self/statm");
    double pages = 0, resident = 0;
    file >> pages >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

Json numbers(long count)
{
    Json out = Json::array();
    for (long i = 0; i < count; ++i) out.push(static_cast<long long>(i));
    return Json::object({{"all", std::move(out)}});
}

workflows::RunOptions bare()
{
    workflows::RunOptions options;
    options.steps = false;
    options.cloud_events = false;
    options.max_steps = 100'000'000;
    return options;
}

/// Runs `flow` to its end; `watch` is called about every 5 ms of it.
double run(const char* flow, const Json& input, const std::function<void()>& watch = {})
{
    const auto package = lone(flow);
    if (!findings(*package).empty()) give_up(findings(*package));
    workflows::RunOptions options = bare();
    options.input = input;
    auto made = workflows::make_interpreter(package, options);
    if (!made) give_up(made.error().what);
    FakeClock clock;
    const double took = seconds([&] {
        while ((*made)->phase() == workflows::Phase::pending || (*made)->phase() == workflows::Phase::running) {
            (*made)->advance(clock.now(), clock.steady());
            if (watch) watch();
        }
    });
    if ((*made)->phase() != workflows::Phase::completed) give_up(dump_json(workflows::to_json((*made)->fault())));
    return took;
}

void steps_by_length()
{
    double least = 1e18, most = 0;
    for (const long steps : {10L, 100L, 1'000L, 10'000L, 100'000L}) {
        const Json input = numbers(steps);
        const long jobs = std::max(1L, 20'000 / steps);
        const double rate = median(5, [&] {
            double took = 0;
            for (long i = 0; i < jobs; ++i) took += run(kLoop, input);
            return static_cast<double>(steps * jobs) / took;
        });
        say(fmt::format("trivial steps, job of {} steps", steps), rate, "1/s");
        if (steps >= 100) least = std::min(least, rate), most = std::max(most, rate);
    }
    say("  fastest / slowest of 100 to 100,000", most / least, "x");
}

void long_loop(long iterations)
{
    const Json input = numbers(iterations);
    std::vector<double> memory;
    const double took = run(kLoop, input, [&] { memory.push_back(resident_mib()); });
    say(fmt::format("trivial steps, one loop of {} iterations", iterations), static_cast<double>(iterations) / took, "1/s");
    if (memory.size() < 10) return;
    say("  memory after a tenth of it", memory[memory.size() / 10], "MiB");
    say("  memory at its end", memory.back(), "MiB");
}

void rows()
{
    Json all = Json::array();
    for (int i = 0; i < 10'000; ++i) {
        Json row = Json::object();
        for (int c = 0; c < 10; ++c) row.set(fmt::format("column{}", c), c % 2 == 0 ? Json(i * c) : Json(fmt::format("value {} of {}", c, i)));
        all.push(std::move(row));
    }
    const Json input = Json::object({{"rows", all}});
    const double floor = median(5, [&] { return seconds([&] { (void)parse_json(dump_json(input)); }); });
    const double took = median(3, [&] { return run(kRows, input); });
    say("floor: 10,000 rows written and read as JSON once", floor * 1000, "ms");
    say("collecting 10,000 rows in a loop", took * 1000, "ms");
    say("  / floor", took / floor, "x");
}

/// A package of 1,000 tasks: half with a jq expression of their own, a quarter with plain paths, a quarter activities.
void check_of_1000_tasks()
{
    namespace fs = std::filesystem;
    const fs::path folder = fs::temp_directory_path() / fmt::format("millwright-bench-{}", ::getpid());
    fs::create_directories(folder);
    std::string text = "document: { dsl: 1.0.3, namespace: bench, name: bench, version: 1.0.0 }\ndo:\n";
    for (int i = 0; i < 1000; ++i) {
        text += fmt::format("  - task{}:\n      ", i);
        if (i % 4 == 3) text += fmt::format("call: log\n      with: {{ text: '${{ .text{} }}' }}\n", i);
        else if (i % 4 == 2) text += fmt::format("set: {{ n: '${{ .member{}.inner }}' }}\n      if: '.yes'\n", i);
        else text += fmt::format("set: {{ n: '${{ .n + {} | tostring }}' }}\n      export: {{ as: '$context + {{x{}: .n}}' }}\n", i, i);
    }
    std::ofstream(folder / "package.yaml") << "name: bench\nversion: 1.0.0\nworkflow: main.yaml\n";
    std::ofstream(folder / "main.yaml") << text;
    const double yaml = median(5, [&] { return seconds([&] { (void)parse_yaml(text); }); });
    const double took = median(5, [&] {
        return seconds([&] {
            const auto package = workflows::load_package(folder.string());
            if (!package || !package->valid()) give_up("the package of 1,000 tasks does not load: " + (package ? findings(*package) : package.error().what));
        });
    });
    fs::remove_all(folder);
    say("floor: the YAML of 1,000 tasks read", yaml * 1000, "ms");
    say("checking a package of 1,000 tasks (load_package)", took * 1000, "ms");
    say("  / floor", took / yaml, "x");
}

}  // namespace

int main(int argc, char** argv)
{
    const long iterations = argc > 1 ? std::atol(argv[1]) : 1'000'000;
    const Json sample = *parse_json(R"({"a":1,"b":"two","c":[1,2,3]})");
    const double copies = seconds([&] {
        for (int i = 0; i < 1'000'000; ++i) {
            Json copy = sample;
            copy.set("a", i);
        }
    });
    say("floor: a small object copied and changed", 1'000'000 / copies, "1/s");
    steps_by_length();
    long_loop(iterations);
    const Json some = numbers(100'000);
    say("steps with a jq expression, loop of 100,000", median(3, [&] { return 100'000 / run(kJqLoop, some); }), "1/s");
    rows();
    check_of_1000_tasks();
    return 0;
}
