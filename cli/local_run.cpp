#include "cli/local_run.h"

#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/ask_prompt.h"
#include "cli/dry_run.h"
#include "cli/input.h"
#include "cli/jobs.h"
#include "cli/once.h"
#include "cli/publishing.h"
#include "cli/run_report.h"
#include "cli/step_prompt.h"
#include "platform/files.h"
#include "platform/terminal.h"

namespace mill::cli {

namespace {

/// What the person gave, read and checked.
struct Given {
    workflows::Package package;
    Json input = Json::object(), variables = Json::object(), secrets = Json::object();
    protocol::Permissions asked;
};

std::vector<std::string> names_of(const std::map<std::string, std::string>& workflows)
{
    std::vector<std::string> out;
    for (const auto& [name, file] : workflows) out.push_back(name);
    return out;
}

Result<Given> read_given(Context& context, const LocalRun& run)
{
    Given out;
    Result<workflows::Package> package = read_package(run.path);
    if (!package) return fail(package.error());
    out.package = std::move(*package);
    if (!show_findings(context.console, out.package)) return fail(Errc::invalid, run.path + " is not valid: nothing was run");
    if (!out.package.workflows.contains(run.workflow))
        return fail(Errc::invalid, fmt::format("{} has no workflow '{}': --workflow names one of {}", out.package.manifest.name, run.workflow, fmt::join(names_of(out.package.manifest.workflows), ", ")));
    for (const auto& [file, into, object] : {std::tuple{&run.input_file, &out.input, false}, {&run.variables_file, &out.variables, true}, {&run.secrets_file, &out.secrets, true}}) {
        if (file->empty()) continue;
        Result<Json> value = object ? read_object(*file, context.stop) : read_value(*file, context.stop);
        // What is wrong with a secret's file is not quoted.
        if (!value && into == &out.secrets) return fail(value.error().code, run.secrets_file + " does not hold one object NAME → value");
        if (!value) return fail(value.error());
        *into = std::move(*value);
    }
    const Result<Json> effective = workflows::effective_variables(out.package.manifest, out.variables);
    if (!effective) return fail(effective.error());
    out.variables = *effective;
    const Result<protocol::Permissions> asked = workflows::asked_permissions(out.package.manifest, out.variables);
    if (!asked) return fail(asked.error());
    out.asked = *asked;
    return out;
}

/// A tree for a person at a terminal; for everybody else a line of JSON each.
TraceView::As how_to_trace(const Console& console)
{
    return console.json() || !platform::is_terminal(platform::Stream::error) ? TraceView::As::json : TraceView::As::tree;
}

Result<int> run_for_real(Context& context, const LocalRun& run, const Given& given)
{
    const Result<protocol::Permissions> grants = decide_grants(context, run, given.package.manifest.name, given.asked);
    if (!grants) return fail(grants.error());
    const Result<Scratch> scratch = Scratch::make();
    if (!scratch) return fail(scratch.error());
    const std::string archive = scratch->file("package.mwp");
    if (Status staged = stage_package(run.path, archive); !staged) return fail(staged.error());
    std::ofstream events;
    if (!run.events_file.empty()) {
        events.open(run.events_file, std::ios::trunc);
        if (!events) return fail(Errc::unavailable, run.events_file + " cannot be written");
    }
    const Json request = Json::object({{"package", archive},
                                       {"workflow", run.workflow},
                                       {"input", given.input},
                                       {"variables", given.variables},
                                       {"grants", protocol::to_json(*grants)},
                                       {"secrets", given.secrets},
                                       {"events", !run.events_file.empty()},
                                       {"trace", run.trace},
                                       {"step", run.step},
                                       {"ask", context.console.interactive()}});
    Console& console = context.console;
    const Redactor redactor = redactor_of(given.secrets);
    TraceView trace(console, how_to_trace(console), redactor);
    std::optional<std::pair<platform::Channel, platform::Channel>> steps;  // ours, the agent's
    const bool asks = console.interactive();
    if (run.step || asks) {
        auto ends = platform::Channel::pair();
        if (!ends) return fail(ends.error());
        steps = std::move(*ends);
    }
    // An agent that is gone shows by its ending; a closed channel cancels the run.
    StepPrompt prompt(context, redactor, [&](const Json& message) { (void)steps->first.send(dump_json(message), nullptr, context.stop); },
                      [&] { steps->first = platform::Channel(); });
    AskPrompt questions(context, redactor, [&](const Json& message) { (void)steps->first.send(dump_json(message), nullptr, context.stop); });
    RunReport report(console, redactor, run.events_file.empty() ? nullptr : &events, run.trace ? &trace : nullptr,
                     [&](const Json& line) {
                         if (run.step) prompt.hear(line);
                         if (asks) questions.hear(line);
                     });
    const Result<platform::Ending> ending = run_once(context, request, scratch->file("request.json"), [&](std::string_view line) { return report.take(line); },
                                                     steps ? &steps->second.handle() : nullptr);
    if (!ending) return fail(ending.error());
    if (!report.ended()) return fail(no_ending(*ending));
    const Json& ended = *report.ended();
    const int status = exit_code(ended["state"].as_string(), ended["reason"].as_string());
    if (!run.output_file.empty()) {
        const Json& result = status == kDone ? ended["output"] : ended["error"];
        if (Status written = platform::write_output(run.output_file, dump_json(result, 2) + "\n"); !written)
            return fail(Errc::unavailable, written.error().what);  // it ran: neither refused nor faulted
    }
    if (status != kDone || console.json()) return show_ending(console, ended);
    if (run.output_file.empty()) console.document(ended["output"]);
    return status;
}

}  // namespace

Result<int> run_locally(Context& context, const LocalRun& run)
{
    const Result<Given> given = read_given(context, run);
    if (!given) return fail(given.error());
    if (!run.dry_run) return run_for_real(context, run, *given);
    const Result<protocol::Permissions> granted = given_grants(context, run.granting, run.grant_file, given->asked);
    if (!granted) return fail(granted.error());
    return show_plan(context.console, given->package, run.workflow, given->variables, given->asked, *granted);
}

}  // namespace mill::cli
