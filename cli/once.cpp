#include "cli/once.h"

#include <filesystem>

#include <fmt/format.h>

#include "cli/publishing.h"
#include "platform/base/ids.h"
#include "platform/files.h"

namespace mill::cli {

namespace {

constexpr std::chrono::seconds kGrace{20};
constexpr std::size_t kMaxLine = 64 * 1024 * 1024;

}  // namespace

Result<Scratch> Scratch::make()
{
    std::error_code error;
    const auto base = std::filesystem::temp_directory_path(error);
    const std::string path = (error ? std::string("/tmp") : base.string()) + "/millwright-run-" + new_uid();
    if (Status made = platform::make_folder(path, 0711); !made) return fail(made.error());
    return Scratch(path);
}

Scratch::~Scratch()
{
    if (!path_.empty()) (void)platform::remove_tree(path_);
}

Status stage_package(const std::string& path, const std::string& file)
{
    const Result<std::string> bytes = package_bytes(path);
    if (!bytes) return fail(bytes.error());
    return platform::write_file(file, *bytes, 0644);
}

Result<platform::Ending> run_once(Context& context, const Json& request, const std::string& request_file,
                                  const std::function<Status(std::string_view line)>& on_line, const platform::Handle* steps)
{
    if (Status written = platform::write_file(request_file, dump_json(request), 0600); !written) return fail(written.error());
    platform::ProcessSpec spec;
    spec.program = platform::sibling_program("millwright-agent");
    spec.arguments = {"once", "--request", request_file};
    spec.environment = {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"HOME", platform::home_folder()}};
    if (steps != nullptr) spec.handles = {{3, steps}};
    Status wrong;
    const auto take = [&](std::string_view line) {
        if (Status taken = on_line(line); !taken && wrong) wrong = std::move(taken);
    };
    Result<platform::Ending> ending = platform::run_lines(spec, take, kMaxLine, kGrace, context.stop);
    if (!ending) return fail("starting " + spec.program, ending.error());
    if (!wrong) return fail(wrong.error());
    return ending;
}

Error no_ending(const platform::Ending& ending)
{
    return {Errc::internal, ending.signal != 0 ? fmt::format("millwright-agent was ended by signal {} before the run was over", ending.signal)
                                               : fmt::format("millwright-agent ended with status {} before the run was over", ending.exit_code)};
}

bool show_findings(Console& console, const workflows::Package& package)
{
    for (const workflows::Finding& finding : package.findings) console.note(printable(finding.format()));
    return package.valid();
}

}  // namespace mill::cli
