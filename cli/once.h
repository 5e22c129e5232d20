// cli/once.h -- a run on this machine: a folder of its own, and `millwright-agent once`, which says a line for each thing that happens.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "cli/command.h"
#include "platform/channel.h"
#include "platform/process.h"
#include "workflows/package.h"

namespace mill::cli {

/// A folder that goes when the run is over; the sandbox's user may pass through it, nobody may list it.
class Scratch {
public:
    static Result<Scratch> make();
    Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch();
    std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

private:
    explicit Scratch(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

/// The bytes of the package at `path`, packed when it is none yet, into `file`.
Status stage_package(const std::string& path, const std::string& file);

/// Runs `request` (agent/README.md), written to `request_file` as nobody else can read it. `steps` is the agent's end of a channel, or
/// null. Ctrl-C ends it in good order. Errors: also the first that `on_line` gave, and an agent that ended without `ended`.
Result<platform::Ending> run_once(Context& context, const Json& request, const std::string& request_file,
                                  const std::function<Status(std::string_view line)>& on_line, const platform::Handle* steps = nullptr);
/// Why there was no `ended`.
Error no_ending(const platform::Ending& ending);

/// Findings on standard error; false when one of them is an error.
bool show_findings(Console& console, const workflows::Package& package);

}  // namespace mill::cli
