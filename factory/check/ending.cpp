#include "factory/check/ending.h"

#include <csignal>

#include <fmt/format.h>

#include "factory/check/report.h"
#include "platform/base/ids.h"
#include "platform/files.h"

namespace mill::factory {
namespace {

bool is_out_of_memory(const platform::Ending& ending, const Limits& limits)
{
    if (ending.out_of_memory || (ending.signal == 0 && ending.exit_code == kNoMemory)) return true;
    return ending.signal == SIGABRT && ending.peak_memory > limits.memory.bytes / 4 * 3;   // a library that ends the process when there is no more
}

std::string seconds(std::chrono::milliseconds time) { return fmt::format("{} s", static_cast<double>(time.count()) / 1000); }

}  // namespace

Error stopping() { return {Errc::cancelled, "the factory stops"}; }

std::optional<Error> bad_ending(const platform::Ending& ending, std::string_view said, const Limits& limits, std::string_view what)
{
    const auto error = [](Errc code, std::string text) { return Error{code, std::move(text)}; };
    if (ending.cancelled) return stopping();
    if (ending.timed_out) return error(Errc::timeout, fmt::format("the {} was not done after {} and was ended", what, seconds(limits.time)));
    if (ending.signal == SIGXCPU) return error(Errc::timeout, fmt::format("the {} used more than {} of processor time and was ended", what, seconds(limits.cpu)));
    if (is_out_of_memory(ending, limits)) return error(Errc::too_large, fmt::format("the {} needs more than the {} of memory that it may have", what, format_bytes(limits.memory)));
    if (ending.signal != 0) return error(Errc::corrupt, fmt::format("the {} crashed (signal {})", what, ending.signal));
    if (ending.exit_code == 1 && said.starts_with("bwrap: "))
        return error(Errc::unavailable, fmt::format("no sandbox can be started: bubblewrap says '{}'; the factory's user must be allowed to make user namespaces, also by "
                                                    "its unit or container (docs/operating.md)", one_line(said.substr(7), 200)));
    if (ending.exit_code == kUsage) return error(Errc::unavailable, fmt::format("millwright-runner does not know this {}: install the one of the factory's version beside it", what));
    if (ending.exit_code == kNotConfined) return error(Errc::unavailable, fmt::format("millwright-runner cannot confine itself: {}", one_line(said, 200)));
    if (ending.exit_code != 0 && ending.exit_code != kDataError) return error(Errc::corrupt, fmt::format("the {} failed (status {}): {}", what, ending.exit_code, one_line(said, 200)));
    return std::nullopt;
}

platform::SandboxSpec bare_sandbox(const std::string& runner, std::vector<std::string> arguments)
{
    platform::SandboxSpec spec;
    spec.program = runner;
    spec.lifeline = true;
    spec.arguments = std::move(arguments);
    if (const auto user = platform::sandbox_user()) {
        spec.uid = user->uid;
        spec.gid = user->gid;
    }
    spec.limits.processes = 16;
    spec.limits.output = mebibytes(1);   // of its private /tmp and /work, which it has no use for
    spec.name = "check-" + new_uid();
    return spec;
}

std::string runner_or_sibling(const std::string& runner) { return runner.empty() ? platform::sibling_program("millwright-runner") : runner; }
std::string missing_runner(const std::string& runner) { return fmt::format("{} is missing: install millwright-runner beside millwright-factory", runner); }

}  // namespace mill::factory
