#include "cli/local_run.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/input.h"
#include "cli/jobs.h"
#include "cli/publishing.h"
#include "cli/run_report.h"
#include "platform/base/ids.h"
#include "platform/files.h"
#include "platform/process.h"
#include "platform/terminal.h"

namespace mill::cli {

namespace {

constexpr std::chrono::seconds kGrace{20};
constexpr std::size_t kMaxLine = 64 * 1024 * 1024;

/// A folder of our own that goes when the run is over; the sandbox's user may pass through it, nobody may list it.
class Scratch {
public:
    static Result<Scratch> make()
    {
        std::error_code error;
        const auto base = std::filesystem::temp_directory_path(error);
        const std::string path = (error ? std::string("/tmp") : base.string()) + "/millwright-run-" + new_uid();
        if (Status made = platform::make_folder(path, 0711); !made) return fail(made.error());
        return Scratch(path);
    }
    Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch()
    {
        if (!path_.empty()) (void)platform::remove_tree(path_);
    }
    std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

private:
    explicit Scratch(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

/// Findings on standard error; false when one of them is an error.
bool show_findings(Console& console, const workflows::Package& package)
{
    for (const workflows::Finding& finding : package.findings) console.note(printable(finding.format()));
    return package.valid();
}

Result<protocol::Permissions> read_grants(const std::string& path, std::stop_token stop)
{
    const Result<Json> file = read_object(path, std::move(stop));
    if (!file) return fail(file.error());
    return protocol::parse_permissions(file->contains("permissions") ? (*file)["permissions"] : *file, path);
}

Result<protocol::Permissions> decide_grants(Context& context, const LocalRun& run, const std::string& name, const protocol::Permissions& asked)
{
    if (run.granting == LocalRun::Granting::asked) return asked;
    if (run.granting == LocalRun::Granting::all) {
        std::error_code error;
        return everything(asked, std::filesystem::current_path(error).string());
    }
    protocol::Permissions granted;
    granted.limits = asked.limits;
    if (run.granting == LocalRun::Granting::file) {
        const Result<protocol::Permissions> given = read_grants(run.grant_file, context.stop);
        if (!given) return fail(given.error());
        granted = *given;
    }
    const std::vector<std::string> lacking = protocol::missing(asked, granted);
    if (lacking.empty()) return granted;
    if (run.granting == LocalRun::Granting::none && context.console.interactive()) {
        context.console.note(fmt::format("{} asks for:\n{}Allow this for this run? [y/N]", name, permission_lines(lacking)));
        const Result<std::string> answer = platform::read_line(false, context.stop);
        if (!answer) return fail(Errc::cancelled, "stopped: nothing was run");
        if (*answer == "y" || *answer == "Y" || *answer == "yes") return asked;
        return fail(Errc::denied, "not allowed");
    }
    return fail(Errc::denied, fmt::format("{} asks for what is not granted: {}. {} holds:\n{}", name, fmt::join(lacking, ", "),
                                          run.granting == LocalRun::Granting::file
                                              ? fmt::format("{} would allow it when it", run.grant_file)
                                              : "`--grant-asked` allows all that package.yaml asks for; `--grant FILE` allows it when FILE",
                                          permission_lines(lacking)));
}

struct Prepared {
    std::string package, request;  ///< files
    std::string name;
};

std::vector<std::string> names_of(const std::map<std::string, std::string>& workflows)
{
    std::vector<std::string> out;
    for (const auto& [name, file] : workflows) out.push_back(name);
    return out;
}

Result<Prepared> prepare(Context& context, const LocalRun& run, const Scratch& scratch)
{
    const Result<workflows::Package> package = read_package(run.path);
    if (!package) return fail(package.error());
    if (!show_findings(context.console, *package)) return fail(Errc::invalid, run.path + " is not valid: nothing was run");
    if (!package->workflows.contains(run.workflow))
        return fail(Errc::invalid, fmt::format("{} has no workflow '{}': --workflow names one of {}", package->manifest.name, run.workflow, fmt::join(names_of(package->manifest.workflows), ", ")));

    Json input = Json::object(), variables = Json::object(), secrets = Json::object();
    if (!run.input_file.empty()) {
        Result<Json> value = read_value(run.input_file, context.stop);
        if (!value) return fail(value.error());
        input = *value;
    }
    if (!run.variables_file.empty()) {
        Result<Json> value = read_object(run.variables_file, context.stop);
        if (!value) return fail(value.error());
        variables = *value;
    }
    if (!run.secrets_file.empty()) {
        Result<Json> value = read_object(run.secrets_file, context.stop);
        if (!value) return fail(value.error().code, run.secrets_file + " does not hold one object NAME → value");
        secrets = *value;
    }
    const Result<Json> effective = workflows::effective_variables(package->manifest, variables);
    if (!effective) return fail(effective.error());
    const Result<protocol::Permissions> asked = workflows::asked_permissions(package->manifest, *effective);
    if (!asked) return fail(asked.error());
    const Result<protocol::Permissions> grants = decide_grants(context, run, package->manifest.name, *asked);
    if (!grants) return fail(grants.error());

    const Result<std::string> bytes = package_bytes(run.path);
    if (!bytes) return fail(bytes.error());
    Prepared out{scratch.file("package.mwp"), scratch.file("request.json"), package->manifest.name};
    if (Status written = platform::write_file(out.package, *bytes, 0644); !written) return fail(written.error());
    const Json request = Json::object({{"package", out.package},
                                       {"workflow", run.workflow},
                                       {"input", input},
                                       {"variables", *effective},
                                       {"grants", protocol::to_json(*grants)},
                                       {"secrets", secrets},
                                       {"events", !run.events_file.empty()},
                                       {"trace", run.trace}});
    if (Status written = platform::write_file(out.request, dump_json(request), 0600); !written) return fail(written.error());
    return out;
}

/// Starts `millwright-agent once`, reports what it says; SIGTERM on Ctrl-C, and patience for its last words.
Result<platform::Ending> follow(Context& context, const Prepared& prepared, RunReport& report)
{
    platform::ProcessSpec spec;
    spec.program = platform::sibling_program("millwright-agent");
    spec.arguments = {"once", "--request", prepared.request};
    spec.environment = {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"HOME", platform::home_folder()}};
    Status wrong;
    const auto take = [&](std::string_view line) {
        if (Status taken = report.take(line); !taken && wrong) wrong = std::move(taken);
    };
    Result<platform::Ending> ending = platform::run_lines(spec, take, kMaxLine, kGrace, context.stop);
    if (!ending) return fail("starting " + spec.program, ending.error());
    if (!wrong) return fail(wrong.error());
    return ending;
}

Status write_result(const LocalRun& run, const Json& value)
{
    Status written = platform::write_output(run.output_file, dump_json(value, 2) + "\n");
    if (!written) written.error().code = Errc::unavailable;   // it ran: neither refused nor faulted
    return written;
}

}  // namespace

Result<int> run_locally(Context& context, const LocalRun& run)
{
    const Result<Scratch> scratch = Scratch::make();
    if (!scratch) return fail(scratch.error());
    const Result<Prepared> prepared = prepare(context, run, *scratch);
    if (!prepared) return fail(prepared.error());

    std::ofstream events;
    if (!run.events_file.empty()) {
        events.open(run.events_file, std::ios::trunc);
        if (!events) return fail(Errc::unavailable, run.events_file + " cannot be written");
    }
    Console& console = context.console;
    RunReport report(console, run.events_file.empty() ? nullptr : &events, run.trace);
    const Result<platform::Ending> ending = follow(context, *prepared, report);
    if (!ending) return fail(ending.error());
    if (!report.ended()) {
        return fail(Errc::internal, ending->signal != 0 ? fmt::format("millwright-agent was ended by signal {} before the run was over", ending->signal)
                                                        : fmt::format("millwright-agent ended with status {} before the run was over", ending->exit_code));
    }
    const Json& ended = *report.ended();
    const std::string& state = ended["state"].as_string();
    const int status = exit_code(state, ended["reason"].as_string());
    if (!run.output_file.empty())
        if (Status written = write_result(run, status == kDone ? ended["output"] : ended["error"]); !written) return fail(written.error());
    if (console.json() || run.output_file.empty() || status != kDone) {
        if (status == kDone && !console.json()) console.document(ended["output"]);
        else return show_ending(console, ended);
    }
    return status;
}

}  // namespace mill::cli
