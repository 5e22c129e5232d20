#include "workflows/plan.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/base/text.h"
#include "workflows/activities/registry.h"
#include "workflows/document.h"

namespace mill::workflows {
namespace {

/// A text of the document: what is known of it, and whether that is all.
struct Known {
    std::string text;
    bool whole = true;
    std::string from;  ///< the expression that is not known
};

class Planner {
public:
    Planner(const Package& package, const Json& variables) : package_(package), variables_(variables) {}

    void workflow(const std::string& name, const Document& document)
    {
        if (!seen_.emplace(&document, -1).second) return;
        for (const std::string& secret : document.secrets) {
            protocol::Permissions asked;
            asked.credentials = {secret};
            out.push_back({name, document.file, "/use/secrets", secret, "credential", mark_of(document, "/use/secrets"), "the credential " + secret,
                           {{{asked}, "credentials " + secret, {}}}});
        }
        list(name, document, document.main);
    }

    std::vector<PlannedCall> out;

private:
    static Mark mark_of(const Document& document, const std::string& pointer) { return YamlDocument{{}, document.marks}.mark(pointer); }

    void list(const std::string& name, const Document& document, int number)
    {
        if (number < 0) return;
        for (const int task_number : document.lists[static_cast<std::size_t>(number)].tasks) task(name, document, task_number);
    }

    void task(const std::string& name, const Document& document, int number)
    {
        if (!seen_.emplace(&document, number).second) return;
        const Task& what = document.tasks[static_cast<std::size_t>(number)];
        list(name, document, what.list);
        for (const int branch : what.branches) list(name, document, branch);
        if (what.catch_) list(name, document, what.catch_->list);
        switch (what.kind) {
        case TaskKind::call_http: return http(name, document, what);
        case TaskKind::call_openapi: return openapi(name, document, what);
        case TaskKind::call_activity: return activity(name, document, what);
        case TaskKind::call_function:
            if (const auto body = document.functions.find(what.target); body != document.functions.end()) task(name, document, body->second);
            return;
        case TaskKind::run_shell: shell(name, document, what); return reveals(what);
        case TaskKind::run_script: command(name, document, what, what.target == "js" ? "node" : "python3", {}); return reveals(what);
        case TaskKind::run_workflow:
            if (const Document* target = find_workflow(package_, document, what.target)) workflow(target->name, *target);
            return;
        default: return;
        }
    }

    PlannedCall call(const std::string& name, const Document& document, const Task& what, std::string text) const
    {
        return {name, document.file, what.pointer, what.name, call_name(what), what.mark, std::move(text), {}};
    }

    /// A text as it is written in the document.
    Known text(const Json& written) const
    {
        if (!written.is_string()) return {written.is_null() ? std::string() : dump_json(written), true, {}};
        const std::string& all = written.as_string();
        if (!all.starts_with("${") || !all.ends_with('}')) return {all, true, {}};
        std::string inner = all.substr(2, all.size() - 3);
        inner.erase(0, std::min(inner.find_first_not_of(" \t\n"), inner.size()));
        inner.erase(inner.find_last_not_of(" \t\n") + 1);
        constexpr std::string_view kVariables = "$runtime.metadata.variables.";
        if (inner.starts_with(kVariables))
            if (const Json& value = variables_[inner.substr(kVariables.size())]; value.is_string()) return {value.as_string(), true, {}};
        return {"${ " + inner.substr(0, 120) + " }", false, inner};
    }

    static Need unknown(std::string permission, const std::string& expression)
    {
        return {{}, std::move(permission), fmt::format("it comes from the expression '{}'", expression.substr(0, 120))};
    }

    /// Up to the path; a `{name}` in it makes it unknown.
    static Need network(const Known& uri)
    {
        if (!uri.whole) return unknown("network", uri.from);
        const auto scheme = uri.text.find("://");
        if (scheme == std::string::npos) return {{}, "network", "its address is not written out"};
        std::string origin = uri.text.substr(0, uri.text.find_first_of("/?#", scheme + 3));
        if (origin.find('{') != std::string::npos) return {{}, "network", fmt::format("the host in '{}' comes from the data", origin)};
        if (const auto user = origin.find('@'); user != std::string::npos) origin = origin.substr(0, scheme + 3) + origin.substr(user + 1);
        protocol::Permissions asked;
        asked.network = {origin};
        return {{asked}, "network " + origin, {}};
    }

    Known address(const Json& endpoint) const { return text(endpoint.is_object() ? endpoint["uri"] : endpoint); }

    void http(const std::string& name, const Document& document, const Task& what)
    {
        const Json& with = what.definition["with"];
        const Known uri = address(with["endpoint"]);
        out.push_back(call(name, document, what, fmt::format("{} {}", upper_case(text(with["method"]).text), uri.text)));
        out.back().needs.push_back(network(uri));
    }

    void openapi(const std::string& name, const Document& document, const Task& what)
    {
        const Json& with = what.definition["with"];
        const Known uri = address(with["document"]["endpoint"]);
        out.push_back(call(name, document, what, fmt::format("operation {} of {}", text(with["operationId"]).text, uri.text)));
        if (!uri.text.starts_with("package://")) out.back().needs.push_back(network(uri));
        out.back().needs.push_back({{}, "network", "the operation's server stands in the OpenAPI document"});
    }

    void activity(const std::string& name, const Document& document, const Task& what)
    {
        const Activity* activity = find_activity(what.target);
        if (activity == nullptr) return;
        const Json& with = what.definition["with"];
        PlannedCall made = call(name, document, what, what.target);
        for (const std::string& permission : activity->permissions) {
            if (permission == "files.read" || permission == "files.write") {
                const bool write = permission == "files.write";
                const Json& known = activity->with["properties"];
                const Known path = text(with.is_string() ? with : with[known.contains("path") ? "path" : write ? "target" : "source"]);
                made.what += " " + path.text;
                if (!path.whole) made.needs.push_back(unknown(permission, path.from));
                else if (path.text.starts_with("/")) made.needs.push_back(file(permission, path.text, write));
            } else if (permission == "metrics.publish" || permission == "metrics.read") {
                const Known metric = text(with["name"]);
                made.what += " " + metric.text;
                protocol::Permissions asked;
                (permission == "metrics.read" ? asked.read_metrics : asked.publish_metrics) = {metric.text};
                made.needs.push_back(metric.whole ? Need{{asked}, permission + " " + metric.text, {}} : unknown(permission, metric.from));
            } else if (permission == "system.usage") {
                protocol::Permissions asked;
                asked.system = {"usage"};
                made.needs.push_back({{asked}, "system usage", {}});
            } else {
                made.needs.push_back({{}, permission, "this version cannot tell"});
            }
        }
        out.push_back(std::move(made));
    }

    static Need file(const std::string& permission, const std::string& path, bool write)
    {
        protocol::Permissions asked;
        (write ? asked.write : asked.read) = {path};
        return {{asked}, permission + " " + path, {}};
    }

    void shell(const std::string& name, const Document& document, const Task& what)
    {
        const Known line = text(what.definition["run"]["shell"]["command"]);
        if (!line.whole) {
            out.push_back(call(name, document, what, line.text));
            out.back().needs.push_back(unknown("commands", line.from));
            return;
        }
        // The runner starts a plain command itself, which needs less than a shell.
        const bool plain = line.text.find_first_of("|&;<>()$`\\*?[]#~!{}\n\r") == std::string::npos;
        const std::string program = line.text.substr(0, line.text.find_first_of(" \t"));
        command(name, document, what, plain && program.find('=') == std::string::npos ? program : "sh", line.text);
    }

    void command(const std::string& name, const Document& document, const Task& what, const std::string& program, const std::string& line)
    {
        out.push_back(call(name, document, what, line.empty() ? fmt::format("a script with {}", program) : line));
        Need need;
        need.text = "commands " + program;
        for (const std::string& way : {program, line.empty() ? program : std::string("sh"), line.empty() ? program : std::string("/bin/sh")}) {
            protocol::Permissions asked;
            asked.commands = {way};
            need.alternatives.push_back(asked);
            if (way.find('/') == std::string::npos) {
                asked.commands = {"/usr/bin/" + way};
                need.alternatives.push_back(asked);
            }
        }
        out.back().needs.push_back(std::move(need));
    }

    /// What the command that was planned last would be given.
    void reveals(const Task& what)
    {
        for (const std::string& secret : what.reveal) {
            protocol::Permissions asked;
            asked.reveal = {secret};
            out.back().needs.push_back({{asked}, "reveal " + secret, {}});
        }
        if (!what.reveal.empty()) out.back().what += fmt::format(" (would be given the value of: {})", fmt::join(what.reveal, ", "));
    }

    const Package& package_;
    const Json& variables_;
    std::set<std::pair<const Document*, int>> seen_;
};

}  // namespace

std::vector<PlannedCall> plan(const Package& package, const std::string& workflow, const Json& variables)
{
    Planner planner(package, variables);
    if (const auto found = package.workflows.find(workflow); found != package.workflows.end()) planner.workflow(workflow, *found->second);
    return std::move(planner.out);
}

}  // namespace mill::workflows
