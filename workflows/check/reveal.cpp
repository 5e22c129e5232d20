// Secrets and commands: what a command is to be given needs `metadata: { reveal: … }` and a grant, and a place that nobody else sees.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "platform/base/text.h"
#include "workflows/check/analysis.h"

namespace mill::workflows {
namespace {

using TasksByPointer = std::map<std::string_view, const Task*>;

bool lists_name(const Json& list, const std::string& name)
{
    return std::any_of(list.as_array().begin(), list.as_array().end(), [&](const Json& entry) { return entry == Json(name) || entry == Json("*"); });
}

/// The command that an expression belongs to, and the member it stands in: "environment", "command", …
std::pair<const Task*, std::string_view> command_of(const TasksByPointer& commands, std::string_view pointer)
{
    for (const std::string_view inside : {"/run/shell/", "/run/script/"})
        for (auto at = pointer.find(inside); at != std::string_view::npos; at = pointer.find(inside, at + 1))
            if (const auto found = commands.find(pointer.substr(0, at)); found != commands.end()) {
                const std::string_view rest = pointer.substr(at + inside.size());
                return {found->second, rest.substr(0, rest.find('/'))};
            }
    return {nullptr, {}};
}

void handles_in(Analysis& analysis, const Document& document, const TasksByPointer& commands)
{
    for (const Expression& expression : document.expressions) {
        const auto [task, member] = command_of(commands, expression.pointer);
        if (task == nullptr) continue;
        for (const PlainPath& path : secret_paths(expression.text)) {
            if (path.steps.empty() || !std::holds_alternative<std::string>(path.steps.front())) continue;
            const auto& name = std::get<std::string>(path.steps.front());
            if (member != "environment" && member != "stdin")
                analysis.error("reveal", document, expression.pointer,
                               fmt::format("the secret '{0}' in '{1}' of task '{2}': what stands there is seen in the list of processes and in the log. Hand it over in 'environment' or "
                                           "'stdin', with metadata: {{ reveal: [ {0} ] }}", name, member, task->name));
            else if (std::find(task->reveal.begin(), task->reveal.end(), name) == task->reveal.end())
                analysis.error("reveal", document, expression.pointer,
                               fmt::format("the command of task '{1}' would be given the secret '{0}', which the task does not say. If the program must have the value: metadata: "
                                           "{{ reveal: [ {0} ] }} at the task, and permissions: {{ reveal: [ {0} ] }} in package.yaml", name, task->name));
        }
    }
}

void reveals_of(Analysis& analysis, const Document& document, const Task& task)
{
    const Json& asked = analysis.package.manifest.asked;
    const Json& names_said = task.definition["metadata"]["reveal"];
    for (std::size_t i = 0; i < names_said.size(); ++i) {
        const std::string& name = names_said[i].as_string();
        if (std::find(task.reveal.begin(), task.reveal.end(), name) == task.reveal.end()) continue;  // loading has said what is wrong
        if (analysis.lone || lists_name(asked["reveal"], name)) continue;
        analysis.remedy("package.yaml", {"permissions", "reveal"}, name);
        analysis.error("reveal", document, fmt::format("{}/metadata/reveal/{}", task.pointer, i),
                       fmt::format("task '{1}' reveals the secret '{0}', which package.yaml does not ask for: permissions: {{ credentials: [ {0} ], reveal: [ {0} ] }}", name, task.name));
    }
}

void unused_ones_of_reveal(Analysis& analysis, const std::set<std::string, std::less<>>& revealed)
{
    const Json& list = analysis.package.manifest.asked["reveal"];
    for (std::size_t i = 0; i < list.size(); ++i)
        if (!revealed.contains(list[i].as_string()))
            analysis.warn_manifest("permission-unused", fmt::format("/permissions/reveal/{}", i),
                                   fmt::format("permissions.reveal asks for {}, which no task reveals (metadata: {{ reveal: [ … ] }} of run: shell or run: script)", list[i].as_string()));
}

}  // namespace

void check_reveal(Analysis& analysis)
{
    std::set<std::string, std::less<>> revealed;
    for (const Document* document : analysis.documents) {
        TasksByPointer commands;
        for (const Task& task : document->tasks) {
            if (task.kind != TaskKind::run_shell && task.kind != TaskKind::run_script) continue;
            commands.emplace(task.pointer, &task);
            reveals_of(analysis, *document, task);
            revealed.insert(task.reveal.begin(), task.reveal.end());
        }
        if (!commands.empty()) handles_in(analysis, *document, commands);
    }
    if (!analysis.lone && analysis.complete()) unused_ones_of_reveal(analysis, revealed);
}

}  // namespace mill::workflows
