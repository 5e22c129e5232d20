#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/fixing.h"
#include "cli/publishing.h"
#include "cli/test_run.h"
#include "workflows/check/check.h"

namespace mill::cli {

namespace {

Json as_json(const workflows::Finding& finding)
{
    return Json::object({{"file", finding.file},
                         {"line", finding.mark.line},
                         {"column", finding.mark.column},
                         {"code", finding.code},
                         {"level", finding.level == workflows::Finding::Level::error ? "error" : "warning"},
                         {"message", finding.text}});
}

/// What the package asks for, in a line: "network https://x, files.write $reportFolder".
std::string asked(const Json& permissions, const std::string& prefix = {})
{
    std::string out;
    const auto add = [&](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
    for (const auto& [key, value] : permissions.as_object()) {
        const std::string name = prefix + key;
        if (value.is_object()) {
            if (const std::string inner = asked(value, name + "."); !inner.empty()) add(inner);
        } else if (value.is_array()) {
            for (const Json& item : value.as_array()) add(name + " " + (item.is_object() ? "$" + item["variable"].as_string() : item.as_string()));
        } else {
            add(name + " " + (value.is_string() ? value.as_string() : dump_json(value)));
        }
    }
    return out;
}

Result<int> run(Context& context, const Arguments& arguments)
{
    Console& console = context.console;
    int status = kDone;
    Json all = Json::array();
    for (const std::string& path : arguments.texts("PATH")) {
        Result<workflows::Package> package = read_package(path);
        if (!package) return fail(package.error());
        workflows::Checked checked = workflows::check(*package);
        Json fixed;
        if (arguments.has("--fix")) {
            bool written = false;
            fixed = fix(console, path, checked.remedies, written);
            if (fixed.empty()) console.note(path + ": nothing to fix");
            if (written) package = read_package(path);
            if (!package) return fail(package.error());
        }
        workflows::check_into(*package);
        for (workflows::Finding& finding : test_findings(path)) package->findings.push_back(std::move(finding));
        Json findings = Json::array();
        for (const workflows::Finding& finding : package->findings) {
            if (finding.level == workflows::Finding::Level::error || arguments.has("--strict")) status = kInvalid;
            if (console.json()) findings.push(as_json(finding));
            else console.line(printable(fmt::format("{} [{}]", finding.format(), finding.code)));
        }
        if (console.json()) {
            all.push(Json::object({{"path", path}, {"valid", package->valid()}, {"name", package->manifest.name},
                                   {"version", package->manifest.version}, {"findings", findings}, {"manifest", workflows::to_json(package->manifest)}}));
            if (!fixed.is_null()) all.mutable_array().back().set("fixed", fixed);
        } else if (package->valid()) {
            const std::string items = asked(package->manifest.asked);
            console.note(fmt::format("{} {}: {} workflow{}, asks for {}", package->manifest.name, package->manifest.version, package->workflows.size(),
                                     package->workflows.size() == 1 ? "" : "s", items.empty() ? "nothing" : one_line(items)));
        }
    }
    if (console.json()) console.document(all);
    return status;
}

}  // namespace

Command check_command()
{
    return {.name = "check",
            .summary = "Check packages or workflow files; prints FILE:LINE:COLUMN: message, exit status 65 on errors",
            .examples = "millwright check my-package/\nmillwright check my-package/ --fix\nmillwright check order-status.yaml --json",
            .options = {reads_path({"PATH", "", "Folder of a package, .mwp file or workflow file", true, true}), {"--strict", "", "Warnings count as errors"},
                        {"--fix", "", "Write missing permissions, credentials and use.secrets into the files, and show what changed"}},
            .run = run};
}

}  // namespace mill::cli
