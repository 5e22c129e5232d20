#include "platform/base/ids.h"
#include "workflows/engine.h"

namespace mill::workflows {

Outcome Engine::run(Branch& branch, Frame& frame)
{
    if (options_.stands_in)
        if (auto answered = stood_in(branch, frame)) return std::move(*answered);
    switch (task(branch, frame).kind) {
    case TaskKind::call_activity: return run_activity(branch, frame);
    case TaskKind::call_function: return run_function(branch, frame);
    case TaskKind::call_http: return run_http(branch, frame);
    case TaskKind::call_openapi: return run_openapi(branch, frame);
    case TaskKind::do_: return run_do(branch, frame);
    case TaskKind::emit: return run_emit(branch, frame);
    case TaskKind::for_: return run_for(branch, frame);
    case TaskKind::fork: return run_fork(branch, frame);
    case TaskKind::raise: return run_raise(branch, frame);
    case TaskKind::run_script:
    case TaskKind::run_shell: return run_command(branch, frame);
    case TaskKind::run_workflow: return run_workflow(branch, frame);
    case TaskKind::set: return run_set(branch, frame);
    case TaskKind::switch_: return run_switch(branch, frame);
    case TaskKind::try_: return run_try(branch, frame);
    case TaskKind::wait: return run_wait(branch, frame);
    }
    return Outcome::failed(make_fault(ErrorType::runtime, "an unknown kind of task"));
}

Outcome Engine::run_set(Branch& branch, Frame& frame)
{
    OrFault<Value> value = fill(branch, frame, task(branch, frame).body, frame.input);
    if (!value) return Outcome::failed(std::move(value.error()));
    return Outcome::done(std::move(*value));
}

Outcome Engine::run_switch(Branch& branch, Frame& frame)
{
    for (const SwitchCase& each : task(branch, frame).cases) {
        if (each.when >= 0) {
            OrFault<bool> holds = test(branch, frame, each.when, frame.input);
            if (!holds) return Outcome::failed(std::move(holds.error()));
            if (!*holds) continue;
        }
        return Outcome::done(frame.input, &each.then);
    }
    return Outcome::done(frame.input);
}

Outcome Engine::run_wait(Branch& branch, Frame& frame)
{
    if (frame.stage == Frame::Stage::resumed) return Outcome::done(frame.input);
    OrFault<Milliseconds> length = measure(branch, frame, *task(branch, frame).duration, frame.input);
    if (!length) return Outcome::failed(std::move(length.error()));
    if (length->count() == 0) return Outcome::done(frame.input);
    frame.wake = now_ + *length;
    branch.ready = false;
    changed(branch, frame, "waiting");
    frame.whole = branches_.size() == 1;
    if (frame.whole) workflow_changed(branch, branch.scopes.back(), "suspended", Json::object({{"suspendedAt", format_time(wall_)}}));
    return Outcome::pending();
}

Outcome Engine::run_raise(Branch& branch, Frame& frame)
{
    OrFault<Value> value = fill(branch, frame, task(branch, frame).body, frame.input);
    if (!value) return Outcome::failed(std::move(value.error()));
    const Json error = value->json();
    Fault fault;
    fault.type = error["type"].as_string();
    fault.title = error["title"].is_string() ? error["title"].as_string() : error["title"].is_null() ? "" : dump_json(error["title"]);
    fault.detail = error["detail"].is_string() ? error["detail"].as_string() : error["detail"].is_null() ? "" : dump_json(error["detail"]);
    fault.status = static_cast<int>(error["status"].as_integer());
    fault.instance = error["instance"].is_string() ? error["instance"].as_string() : task(branch, frame).pointer;
    if (fault.type.empty() || !error["status"].is_number())
        return Outcome::failed(make_fault(ErrorType::expression, "a raised error needs a type (text) and a status (number)", task(branch, frame).pointer));
    return Outcome::failed(std::move(fault));
}

Outcome Engine::run_emit(Branch& branch, Frame& frame)
{
    OrFault<Value> value = fill(branch, frame, task(branch, frame).body, frame.input);
    if (!value) return Outcome::failed(std::move(value.error()));
    Json event = Json::object({{"specversion", "1.0"}, {"id", new_uid()}, {"time", format_time(wall_)}});
    const Json given = value->json();
    for (const auto& [key, member] : given.as_object()) event.set(key, member);
    for (const char* key : {"source", "type"})
        if (!event[key].is_string() || event[key].as_string().empty())
            return Outcome::failed(make_fault(ErrorType::validation, std::string("an event's '") + key + "' must be a text", task(branch, frame).pointer));
    events_.push_back(event);
    return Outcome::done(Value(std::move(event)));
}

}  // namespace mill::workflows
