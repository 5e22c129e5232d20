#include "workflows/engine.h"

#include <fmt/format.h>

namespace mill::workflows {

Outcome Engine::run_do(Branch& branch, Frame& frame)
{
    if (frame.stage == Frame::Stage::resumed) return Outcome::done(std::move(frame.answer));
    const int list = task(branch, frame).list;
    Value data = frame.input;
    push_list(branch, list, std::move(data));
    return Outcome::pending();
}

Outcome Engine::run_for(Branch& branch, Frame& frame)
{
    const Task& what = task(branch, frame);
    if (!frame.loop) {
        OrFault<Value> items = evaluate(branch, frame, what.in, frame.input);
        if (!items) return Outcome::failed(std::move(items.error()));
        if (items->kind() != Json::Kind::array)
            return Outcome::failed(make_fault(ErrorType::expression, fmt::format("'for.in' must be an array, not {}", items->kind_name()), what.pointer));
        frame.loop = std::make_unique<Loop>();
        frame.loop->count = items->size();
        frame.loop->items = std::move(*items);
        frame.answer = frame.input;
    } else if (frame.stage == Frame::Stage::resumed) {
        ++frame.loop->index;
        frame.stage = Frame::Stage::running;
    }
    branch.locals.resize(frame.locals);
    if (frame.loop->index >= frame.loop->count) return Outcome::done(std::move(frame.answer));
    branch.locals.push_back({what.each, frame.loop->items.item(frame.loop->index)});
    branch.locals.push_back({what.at, Value(Json(static_cast<long long>(frame.loop->index)))});
    if (what.while_ >= 0) {
        OrFault<bool> on = test(branch, frame, what.while_, frame.answer);
        if (!on) return Outcome::failed(std::move(on.error()));
        if (!*on) return Outcome::done(std::move(frame.answer));
    }
    if (options_.trace)
        note(branch, frame, "iteration", Json::object({{"index", frame.loop->index}, {"of", frame.loop->count}, {"item", frame.loop->items.item(frame.loop->index).json()}}));
    Value data = std::move(frame.answer);
    frame.answer = Value();
    push_list(branch, what.list, std::move(data));
    branch.stack.back().sessions = branch.sessions.size();
    return Outcome::pending();
}

namespace {
constexpr std::size_t kMostBranches = 2000;
}

/// `await: false`: the task is done at once, with its input; the same task runs in a branch of its own.
Outcome Engine::go_on_beside(Branch& branch, const Frame& frame)
{
    if (branches_.size() >= kMostBranches)
        return Outcome::failed(make_fault(ErrorType::runtime, fmt::format("more than {} branches at once", kMostBranches), place(branch)));
    Branch& made = add_branch();
    made.beside = true;
    made.locals = branch.locals;
    made.scopes.push_back(branch.scopes.back());
    Frame task;
    task.kind = Frame::Kind::task;
    task.stage = Frame::Stage::running;
    task.number = frame.number;
    task.locals = made.locals.size();
    task.raw = task.input = frame.input;
    task.started = wall_;
    task.beside = true;
    made.stack.push_back(std::move(task));
    return Outcome::done(frame.input);
}

/// Its output is nobody's; its fault is a warning in the log, and the rest goes on.
void Engine::beside_finished(Branch& branch, const Fault* fault)
{
    if (fault != nullptr)
        request("log", Json::object({{"level", "warning"}, {"text", fmt::format("what a task with 'await: false' started has faulted: {} ({}) at {}", fault->detail, fault->type, fault->instance)}}),
                fault->instance);
    branches_.erase(branch.id);
    finish_run();
}

void Engine::finish_run()
{
    if (main_done_ && branches_.empty()) phase_ = Phase::completed;
}

Outcome Engine::run_fork(Branch& branch, Frame& frame)
{
    if (frame.stage == Frame::Stage::resumed) return Outcome::done(std::move(frame.answer));
    const Task& what = task(branch, frame);
    if (branches_.size() + what.branches.size() > kMostBranches)
        return Outcome::failed(make_fault(ErrorType::runtime, fmt::format("more than {} branches at once", kMostBranches), what.pointer));
    for (std::size_t i = 0; i < what.branches.size(); ++i) {
        Branch& child = add_branch();
        child.parent = branch.id;
        child.index = i;
        child.locals = branch.locals;
        child.scopes.push_back(branch.scopes.back());
        push_list(child, what.branches[i], frame.input);
        frame.children.push_back(child.id);
    }
    frame.pending = frame.children.size();
    branch.ready = false;
    return Outcome::pending();
}

Outcome Engine::run_try(Branch& branch, Frame& frame)
{
    const Task& what = task(branch, frame);
    if (frame.stage == Frame::Stage::resumed) {
        const bool handled = frame.trying && frame.trying->catching && what.catch_->then.kind != Directive::Kind::next;
        frame.attempt.reset();
        return Outcome::done(std::move(frame.answer), handled ? &what.catch_->then : nullptr);
    }
    if (!frame.trying) {
        frame.trying = std::make_unique<Trying>();
        frame.trying->first = now_;
    }
    if (what.catch_->retry && what.catch_->retry->attempt_duration) {
        OrFault<Milliseconds> limit = measure(branch, frame, *what.catch_->retry->attempt_duration, frame.input);
        if (!limit) return Outcome::failed(std::move(limit.error()));
        frame.attempt = now_ + *limit;
    }
    frame.trying->sessions = branch.sessions.size();
    Value data = frame.input;
    push_list(branch, what.list, std::move(data));
    return Outcome::pending();
}

Outcome Engine::run_function(Branch& branch, Frame& frame)
{
    if (frame.stage == Frame::Stage::resumed) return Outcome::done(std::move(frame.answer));
    const Task& what = task(branch, frame);
    Value input = frame.input;
    if (what.body.expression != -2) {  // -2: called without `with`
        OrFault<Value> given = fill(branch, frame, what.body, frame.input);
        if (!given) return Outcome::failed(std::move(given.error()));
        input = std::move(*given);
    }
    const int body = document(branch).functions.at(what.target);
    begin_task(branch, body, std::move(input));
    return Outcome::pending();
}

Outcome Engine::run_workflow(Branch& branch, Frame& frame)
{
    if (frame.stage == Frame::Stage::resumed) return Outcome::done(std::move(frame.answer));
    const Task& what = task(branch, frame);
    if (!what.await && !frame.beside) return go_on_beside(branch, frame);
    Value input = frame.input;
    if (what.body.expression != -2) {
        OrFault<Value> given = fill(branch, frame, what.body, frame.input);
        if (!given) return Outcome::failed(std::move(given.error()));
        input = std::move(*given);
    }
    if (const Document* found = find_workflow(*package_, document(branch), what.target)) {
        if (auto begun = push_workflow(branch, *found, std::move(input)); !begun) return Outcome::failed(std::move(begun.error()));
        return Outcome::pending();
    }
    return Outcome::failed(make_fault(ErrorType::configuration, fmt::format("the package has no workflow {}", what.target), what.pointer));
}

}  // namespace mill::workflows
