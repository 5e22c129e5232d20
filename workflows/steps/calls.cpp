#include <fmt/format.h>

#include "workflows/activities/registry.h"
#include "workflows/engine.h"
#include "workflows/schema.h"

namespace mill::workflows {

Outcome Engine::ask(Branch& branch, Frame& frame, std::string effect, Json with)
{
    if (too_deep(with)) return Outcome::failed(make_fault(ErrorType::expression, fmt::format("what is asked of '{}' is nested deeper than {} levels", effect, kDeepestData)));
    EffectRequest request;
    request.id = next_effect_++;
    request.effect = std::move(effect);
    request.with = std::move(with);
    request.task = task(branch, frame).pointer;
    request.name = task(branch, frame).name;
    request.call = call_name(task(branch, frame));
    request.timeout = remaining(branch);
    if (options_.trace) note(branch, frame, "asked", Json::object({{"effect", request.effect}, {"with", request.with}}));
    frame.effect = request.id;
    effects_[request.id] = branch.id;
    branch.ready = false;
    requests_.push_back(std::move(request));
    return Outcome::pending();
}

Outcome Engine::run_activity(Branch& branch, Frame& frame)
{
    const Task& what = task(branch, frame);
    const Activity* activity = find_activity(what.target);
    if (activity == nullptr) return Outcome::failed(make_fault(ErrorType::configuration, fmt::format("there is no activity '{}'", what.target), what.pointer));
    if (frame.stage == Frame::Stage::resumed && frame.asking) return answered(branch, frame);
    if (frame.stage == Frame::Stage::resumed) return Outcome::done(activity->result.is_null() ? frame.input : std::move(frame.answer));
    OrFault<Value> filled = fill(branch, frame, what.body, frame.input);
    if (!filled) return Outcome::failed(std::move(filled.error()));
    Json with = filled->json();
    if (with.is_null()) with = Json::object();
    thread_local std::map<std::string, std::shared_ptr<const Schema>, std::less<>> compiled;
    auto& schema = compiled[activity->name];
    if (!schema) {
        if (Result<std::shared_ptr<const Schema>> made = compile_schema(activity->with); made) schema = *made;
    }
    const std::vector<std::string> mistakes = schema ? schema->mistakes(with) : std::vector<std::string>{};
    if (!mistakes.empty()) {
        std::string all;
        for (const std::string& each : mistakes) all += (all.empty() ? "" : "; ") + each;
        return Outcome::failed(make_fault(ErrorType::validation, fmt::format("the arguments of '{}' are wrong: {}", what.target, all), what.pointer));
    }
    if (std::optional<Fault> wrong = in_session(branch, frame, activity->session, with)) return Outcome::failed(std::move(*wrong));
    if (activity->prepare) return ask_people(branch, frame, *activity, std::move(with));
    if (!activity->native) return ask(branch, frame, activity->effect, std::move(with));
    Result<Json> result = activity->native(with);
    if (!result) return Outcome::failed(make_fault(ErrorType::validation, result.error().what, what.pointer));
    return Outcome::done(Value(std::move(*result)));
}

/// Somebody answers for a task that is otherwise done in here.
std::optional<Outcome> Engine::stood_in(Branch& branch, Frame& frame)
{
    const Task& what = task(branch, frame);
    const Activity* activity = what.kind == TaskKind::call_activity ? find_activity(what.target) : nullptr;
    const bool inner = what.kind == TaskKind::call_function || what.kind == TaskKind::call_openapi || what.kind == TaskKind::run_workflow ||
                       (activity != nullptr && activity->native);
    if (!inner || !options_.stands_in(what)) return std::nullopt;
    if (frame.stage == Frame::Stage::resumed) return Outcome::done(std::move(frame.answer));
    const bool given = what.kind == TaskKind::call_activity || what.kind == TaskKind::call_openapi || what.body.expression != -2;
    OrFault<Value> with = given ? fill(branch, frame, what.body, frame.input) : OrFault<Value>(frame.input);
    if (!with) return Outcome::failed(std::move(with.error()));
    return ask(branch, frame, "stand-in", with->json());
}

/// run: shell and run: script. The effect's result is {stdout, stderr, code}; `return` picks.
Outcome Engine::run_command(Branch& branch, Frame& frame)
{
    const Task& what = task(branch, frame);
    const bool script = what.kind == TaskKind::run_script;
    if (!what.await && !frame.beside) return go_on_beside(branch, frame);
    if (frame.stage == Frame::Stage::resumed) {
        const Json answer = frame.answer.json();
        const std::int64_t code = answer["code"].as_integer();
        if (what.returns == "all") return Outcome::done(frame.answer);
        if (what.returns == "code") return Outcome::done(Value(answer["code"]));
        if (code != 0) {
            std::string said = answer["stderr"].as_string();
            if (said.size() > 500) said = "…" + said.substr(said.size() - 500);
            return Outcome::failed(make_fault(ErrorType::runtime, fmt::format("the {} ended with exit status {}: {}", script ? "script" : "command", code, said), what.pointer));
        }
        if (what.returns == "none") return Outcome::done(frame.input);
        return Outcome::done(Value(answer[what.returns]));
    }
    OrFault<Value> filled = fill(branch, frame, what.body, frame.input);
    if (!filled) return Outcome::failed(std::move(filled.error()));
    Json with = filled->json();
    for (const char* key : {"environment"}) {
        Json named = Json::object();
        for (const auto& [name, value] : with[key].as_object()) named.set(name, value.is_string() ? value : Json(dump_json(value)));
        with.set(key, std::move(named));
    }
    if (!with.contains("arguments") || with["arguments"].is_null()) with.set("arguments", Json::array());
    if (with["stdin"].is_null()) with.erase("stdin");
    else if (!with["stdin"].is_string()) with.set("stdin", dump_json(with["stdin"]));
    if (script) with.set("language", what.target).set("code", what.definition_code);
    with.set("return", "all");
    if (!what.reveal.empty()) {
        Json names = Json::array();
        for (const std::string& name : what.reveal) names.push(name);
        with.set("reveal", std::move(names));
    }
    return ask(branch, frame, script ? "script" : "shell", std::move(with));
}

}  // namespace mill::workflows
