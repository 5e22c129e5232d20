#include <fmt/format.h>

#include "platform/base/ids.h"
#include "workflows/engine.h"

namespace mill::workflows {
namespace {

/// Done at once, without waiting and without children: one record stands for its start and its end.
bool instant(TaskKind kind) { return kind == TaskKind::set || kind == TaskKind::switch_ || kind == TaskKind::raise || kind == TaskKind::emit; }

}  // namespace

std::string secret_handle(std::string_view name, std::string_view field) { return fmt::format("\xee\x80\x80{}.{}\xee\x80\x81", name, field); }

Json Engine::cloud_event(std::string type, Json data) const
{
    return Json::object({{"specversion", "1.0"},
                         {"id", new_uid()},
                         {"source", "https://millwright.local/runs/" + options_.run_id},
                         {"type", std::move(type)},
                         {"time", format_time(wall_)},
                         {"datacontenttype", "application/json"},
                         {"data", std::move(data)}});
}

void Engine::workflow_changed(const Branch& branch, const Scope& scope, std::string_view state, Json more)
{
    (void)branch;
    if (!options_.cloud_events) return;
    const Document& what = *scope.document;
    Json data = Json::object({{"name", fmt::format("{}-{}.{}", what.name, options_.run_id, what.ns)}});
    if (state == "started") data.set("definition", Json::object({{"namespace", what.ns}, {"name", what.name}, {"version", what.version}}));
    for (const auto& [key, value] : more.as_object()) data.set(key, value);
    events_.push_back(cloud_event(fmt::format("io.serverlessworkflow.workflow.{}.v1", state), std::move(data)));
}

std::vector<std::pair<std::string, Json>> lifecycle_of(const TaskChange& change, std::string_view workflow)
{
    std::vector<std::pair<std::string, Json>> out;
    const auto add = [&](std::string_view state, WallTime time) -> Json& {
        out.emplace_back(fmt::format("io.serverlessworkflow.task.{}.v1", state),
                         Json::object({{"workflow", workflow}, {"task", change.task}, {fmt::format("{}At", state), format_time(time)}}));
        return out.back().second;
    };
    if (change.state == "skipped") return out;
    if (change.state == "started" || change.started) {
        const WallTime begin = change.started.value_or(change.time);
        add("created", begin);
        add("started", begin);
        if (change.state == "started") return out;
    }
    Json& last = add(change.state == "waiting" ? "suspended" : change.state, change.time);
    if (change.state == "completed") last.set("output", change.detail["output"]);
    if (!change.error.is_null()) last.set("error", change.error);
    return out;
}

void Engine::changed(const Branch& branch, const Frame& frame, std::string_view state, const Fault* fault, const Directive* next)
{
    if (!options_.steps && !options_.cloud_events) return;
    const Task& what = task(branch, frame);
    TaskChange change{what.pointer, what.name, std::string(name(what.kind)), std::string(state), {}, {}, wall_, {}, frame.started, 0, branch.id, false};
    if (fault != nullptr) change.error = to_json(*fault);
    if (options_.cloud_events) {
        const Document& flow = document(branch);
        if (state == "completed") change.detail = Json::object({{"output", frame.output.json()}});
        for (auto& [type, data] : lifecycle_of(change, fmt::format("{}-{}.{}", flow.name, options_.run_id, flow.ns))) events_.push_back(cloud_event(std::move(type), std::move(data)));
        change.detail = Json();
    }
    if (!options_.steps || (state == "started" && instant(what.kind))) return;
    if (instant(what.kind)) change.started = frame.started;
    if (options_.trace) {
        change.depth = depth(branch, &frame);
        change.detail = traced(frame, what, state, next);
    }
    changes_.push_back(std::move(change));
}

}  // namespace mill::workflows
