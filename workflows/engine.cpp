#include "workflows/engine.h"

#include <algorithm>

#include <fmt/format.h>

namespace mill::workflows {
namespace {

constexpr std::size_t kDeepestStack = 500;       // frames of one branch
constexpr std::chrono::milliseconds kSlice{5};
const Directive kNext;

}  // namespace

Engine::Engine(std::shared_ptr<const Package> package, std::shared_ptr<Program> program, RunOptions options)
    : package_(std::move(package)), program_(std::move(program)), options_(std::move(options)), random_(options_.seed)
{
    runtime_ = Value(Json::object({{"name", "millwright"},
                                   {"version", options_.runtime_version},
                                   {"metadata", Json::object({{"variables", options_.variables.is_object() ? options_.variables : Json::object()}})}}));
}

void Engine::start(const Document& document)
{
    main_ = &document;
    add_branch();
}

Branch& Engine::add_branch()
{
    auto made = std::make_unique<Branch>();
    made->id = next_branch_++;
    Branch& out = *made;
    branches_.emplace(out.id, std::move(made));
    return out;
}

void Engine::advance(WallTime wall, SteadyTime now)
{
    if (resuming_) resume_at(wall, now);
    wall_ = wall;
    now_ = now;
    more_ = false;
    if (phase_ == Phase::cancelled || phase_ == Phase::faulted || phase_ == Phase::completed || pause_) return;
    if (phase_ == Phase::pending) {
        phase_ = Phase::running;
        Branch& first = branch(0);
        if (auto begun = push_workflow(first, *main_, Value(options_.input)); !begun) raise(first, std::move(begun.error()));
    }
    const auto begin = std::chrono::steady_clock::now();
    std::uint64_t turns = 0;
    for (bool any = true; any && phase_ == Phase::running;) {
        any = false;
        std::vector<std::uint32_t> ids;
        ids.reserve(branches_.size());
        for (const auto& [id, each] : branches_) ids.push_back(id);
        for (const std::uint32_t id : ids) {
            if (phase_ != Phase::running) break;
            if (const auto found = branches_.find(id); found == branches_.end() || expire(*found->second)) {
                any = any || found != branches_.end();
                continue;
            }
            for (int quota = 0; quota < 64 && phase_ == Phase::running; ++quota) {
                const auto found = branches_.find(id);
                if (found == branches_.end() || !found->second->ready || found->second->done) break;
                any = true;
                step(*found->second);
                if (pause_) return;
            }
        }
        if (any && (++turns % 4) == 0 && std::chrono::steady_clock::now() - begin > kSlice) {
            more_ = true;
            return;
        }
    }
}

std::optional<SteadyTime> Engine::wake_at() const
{
    if (phase_ != Phase::running || pause_) return std::nullopt;
    if (more_) return now_;
    std::optional<SteadyTime> soonest;
    for (const auto& [id, each] : branches_) {
        if (each->ready && !each->done) return now_;
        for (const Frame& frame : each->stack)
            for (const auto& time : {frame.deadline, frame.attempt, frame.wake})
                if (time && (!soonest || *time < *soonest)) soonest = time;
    }
    return soonest;
}

void Engine::step(Branch& branch)
{
    if (branch.stack.empty()) return;
    Frame& frame = branch.stack.back();
    if (frame.kind == Frame::Kind::list) {
        const TaskList& list = document(branch).lists[static_cast<std::size_t>(frame.number)];
        if (++steps_ > options_.max_steps) {
            Fault limit = make_fault(ErrorType::runtime, fmt::format("more than {} steps", options_.max_steps), place(branch));
            limit.title = "limit_steps";
            return fault_run(std::move(limit));
        }
        return begin_task(branch, list.tasks[static_cast<std::size_t>(frame.position)], frame.raw);
    }
    if (frame.kind != Frame::Kind::task) return;
    if (frame.stage == Frame::Stage::entering) return enter_task(branch);
    if (frame.failure) return raise(branch, std::move(*std::exchange(frame.failure, nullptr)));
    settle(branch, run(branch, frame));
}

void Engine::push_list(Branch& branch, int list, Value data)
{
    Frame frame;
    frame.kind = Frame::Kind::list;
    frame.number = list;
    frame.locals = branch.locals.size();
    frame.raw = std::move(data);
    branch.stack.push_back(std::move(frame));
}

void Engine::begin_task(Branch& branch, int number, Value data)
{
    if (branch.stack.size() >= kDeepestStack)
        return raise(branch, make_fault(ErrorType::runtime, fmt::format("tasks and functions call each other more than {} deep", kDeepestStack), place(branch)));
    {
        Frame made;
        made.kind = Frame::Kind::task;
        made.number = number;
        made.locals = branch.locals.size();
        made.raw = std::move(data);
        made.started = wall_;
        branch.stack.push_back(std::move(made));
    }
    if (!wanted_ || !pauses(branch)) enter_task(branch);
}

void Engine::enter_task(Branch& branch)
{
    Frame& frame = branch.stack.back();
    const Task& what = task(branch, frame);
    if (what.if_ >= 0) {
        OrFault<bool> wanted = test(branch, frame, what.if_, frame.raw);
        if (!wanted) return raise(branch, std::move(wanted.error()));
        if (!*wanted) {
            changed(branch, frame, "skipped");
            Value raw = frame.raw;
            pop(branch);
            return deliver(branch, std::move(raw), kNext);
        }
    }
    if (what.timeout) {
        OrFault<Milliseconds> limit = measure(branch, frame, *what.timeout, frame.raw);
        if (!limit) return raise(branch, std::move(limit.error()));
        frame.deadline = now_ + *limit;
    }
    if (std::optional<Fault> wrong = mistaken(what.input, frame.raw, "the input of the task", what.pointer)) return raise(branch, std::move(*wrong));
    changed(branch, frame, "started");
    if (what.input.shape) {
        OrFault<Value> input = fill(branch, frame, *what.input.shape, frame.raw);
        if (!input) return raise(branch, std::move(input.error()));
        frame.input = std::move(*input);
    } else {
        frame.input = frame.raw;
    }
    frame.stage = Frame::Stage::running;
    settle(branch, run(branch, frame));
}

void Engine::settle(Branch& branch, Outcome outcome)
{
    if (outcome.kind == Outcome::Kind::done) finish_task(branch, std::move(outcome.value), outcome.then);
    else if (outcome.kind == Outcome::Kind::fault) raise(branch, std::move(outcome.fault));
}

void Engine::finish_task(Branch& branch, Value raw, const Directive* then)
{
    Frame& frame = branch.stack.back();
    if (frame.beside) {
        pop(branch);
        return beside_finished(branch, nullptr);
    }
    const Task& what = task(branch, frame);
    branch.locals.resize(std::min(branch.locals.size(), frame.locals));
    frame.output = raw;
    frame.answer = Value();
    const Value result_of_call = options_.trace ? raw : Value();
    OrFault<Value> output = shaped(branch, frame, what.output, std::move(raw), "the output of the task", what.pointer);
    if (!output) return raise(branch, std::move(output.error()));
    Value result = std::move(*output);
    if (what.export_.shape || what.export_.schema) {
        frame.answer = result;  // $output
        OrFault<Value> context = shaped(branch, frame, what.export_, result, "what the task exports", what.pointer);
        if (!context) return raise(branch, std::move(context.error()));
        if (what.export_.shape) branch.scopes.back().context = std::move(*context);
    }
    frame.output = result;
    const Directive& next = then != nullptr ? *then : what.then;
    if (options_.trace) frame.answer = result_of_call;
    changed(branch, frame, "completed", nullptr, &next);
    pop(branch);
    deliver(branch, std::move(result), next);
}

void Engine::pop(Branch& branch)
{
    Frame& frame = branch.stack.back();
    if (frame.kind == Frame::Kind::workflow) branch.scopes.pop_back();
    branch.locals.resize(std::min(branch.locals.size(), frame.locals));
    if (frame.sessions || branch.stack.size() == 1) close_sessions(branch, frame.sessions.value_or(0));
    branch.stack.pop_back();
}

void Engine::deliver(Branch& branch, Value output, const Directive& then)
{
    if (branch.stack.empty()) return branch_finished(branch, std::move(output));
    Frame& frame = branch.stack.back();
    if (frame.kind == Frame::Kind::task) {  // a function's task came back to its call
        if (then.kind == Directive::Kind::end) return end_workflow(branch, std::move(output));
        frame.answer = std::move(output);
        frame.stage = Frame::Stage::resumed;
        return;
    }
    const TaskList& list = document(branch).lists[static_cast<std::size_t>(frame.number)];
    if (then.kind == Directive::Kind::end) return end_workflow(branch, std::move(output));
    frame.raw = std::move(output);
    frame.position = then.kind == Directive::Kind::task ? then.index : frame.position + 1;
    if (then.kind == Directive::Kind::exit || frame.position >= static_cast<int>(list.tasks.size())) {
        Value data = std::move(frame.raw);
        pop(branch);
        list_finished(branch, std::move(data));
    }
}

void Engine::list_finished(Branch& branch, Value output)
{
    if (branch.stack.empty()) return branch_finished(branch, std::move(output));
    Frame& owner = branch.stack.back();
    if (owner.kind == Frame::Kind::workflow) return workflow_finished(branch, std::move(output));
    owner.answer = std::move(output);
    owner.stage = Frame::Stage::resumed;
}

void Engine::end_workflow(Branch& branch, Value output)
{
    std::size_t at = branch.stack.size();
    while (at > 0 && branch.stack[at - 1].kind != Frame::Kind::workflow) --at;
    if (at > 0) {
        drop(branch, at, "completed");
        return workflow_finished(branch, std::move(output));
    }
    if (!branch.parent) return;
    const std::uint32_t parent = *branch.parent;  // a fork's branch: its siblings end, too
    drop(branch, 0, "completed");
    const std::uint32_t self = branch.id;
    branches_.erase(self);
    Branch& above = this->branch(parent);
    std::erase(above.stack.back().children, self);
    above.ready = true;  // it waited for the fork; what called its workflow goes on
    end_workflow(above, std::move(output));
}

void Engine::branch_finished(Branch& branch, Value output)
{
    if (!branch.parent) return;  // the main branch ends with its workflow's frame
    branch.done = true;
    branch.ready = false;
    branch.output = std::move(output);
    Branch& above = this->branch(*branch.parent);
    Frame& fork = above.stack.back();
    --fork.pending;
    const Task& what = task(above, fork);
    if (!what.compete && fork.pending > 0) return;
    Value answer;
    if (what.compete) {
        answer = std::move(branch.output);
    } else {
        Value::Items all;
        for (const std::uint32_t child : fork.children) all.push_back(std::move(this->branch(child).output));
        answer = Value::array(std::move(all));
    }
    release(above, fork);
    fork.answer = std::move(answer);
    fork.stage = Frame::Stage::resumed;
    above.ready = true;
}

OrFault<std::monostate> Engine::push_workflow(Branch& branch, const Document& document, Value input)
{
    if (branch.stack.size() >= kDeepestStack) return tl::unexpected(make_fault(ErrorType::runtime, "workflows run each other too deep", place(branch)));
    Scope scope;
    scope.document = &document;
    Json secrets = Json::object();
    for (const auto& [name, fields] : document.secret_fields) {
        Json handles = Json::object();
        for (const std::string& field : fields) handles.set(field, secret_handle(name, field));
        secrets.set(name, std::move(handles));
    }
    scope.secrets = Value(std::move(secrets));
    scope.workflow = Value::object({{"id", Value(Json(options_.run_id))}, {"definition", Value(document.source)}, {"input", input}, {"startedAt", Value(moment(wall_))}});
    branch.scopes.push_back(std::move(scope));
    Frame frame;
    frame.kind = Frame::Kind::workflow;
    frame.locals = branch.locals.size();
    frame.started = wall_;
    branch.stack.push_back(std::move(frame));
    workflow_changed(branch, branch.scopes.back(), "started", Json::object({{"startedAt", format_time(wall_)}}));
    const std::string root = "/";
    if (document.timeout) {
        OrFault<Milliseconds> limit = measure(branch, branch.stack.back(), *document.timeout, input);
        if (!limit) return tl::unexpected(std::move(limit.error()));
        branch.stack.back().deadline = now_ + *limit;
    }
    if (auto wrong = mistaken(document.input, input, "the workflow's input", root)) return tl::unexpected(std::move(*wrong));
    if (document.input.shape) {
        OrFault<Value> shaped_input = fill(branch, branch.stack.back(), *document.input.shape, input);
        if (!shaped_input) return tl::unexpected(std::move(shaped_input.error()));
        input = std::move(*shaped_input);
    }
    push_list(branch, document.main, std::move(input));
    return std::monostate{};
}

void Engine::workflow_finished(Branch& branch, Value output)
{
    Frame& frame = branch.stack.back();
    OrFault<Value> result = shaped(branch, frame, document(branch).output, std::move(output), "the workflow's output", "/");
    if (!result) return raise(branch, std::move(result.error()));
    Json more = Json::object({{"completedAt", format_time(wall_)}});
    const bool last = branch.scopes.size() == 1 && !branch.parent && !branch.beside;
    if (last) {
        output_ = result->json();
        if (too_deep(output_)) return raise(branch, make_fault(ErrorType::expression, fmt::format("the workflow's output is nested deeper than {} levels", kDeepestData), "/"));
    }
    if (options_.cloud_events) more.set("output", last ? output_ : result->json());
    workflow_changed(branch, branch.scopes.back(), "completed", std::move(more));
    pop(branch);
    if (branch.stack.empty()) {
        main_done_ = true;
        branches_.erase(branch.id);
        return finish_run();
    }
    Frame& caller = branch.stack.back();
    caller.answer = std::move(*result);
    caller.stage = Frame::Stage::resumed;
}

void Engine::complete(std::uint64_t effect, Json result)
{
    const auto found = effects_.find(effect);
    if (found == effects_.end()) return;  // cancelled meanwhile
    Branch& owner = branch(found->second);
    effects_.erase(found);
    Frame& frame = owner.stack.back();
    frame.effect = 0;
    frame.answer = Value(std::move(result));
    frame.stage = Frame::Stage::resumed;
    owner.ready = true;
}

void Engine::fail(std::uint64_t effect, Fault fault)
{
    const auto found = effects_.find(effect);
    if (found == effects_.end()) return;
    Branch& owner = branch(found->second);
    effects_.erase(found);
    owner.stack.back().effect = 0;
    owner.ready = true;
    if (const std::size_t opening = std::exchange(owner.stack.back().opening, 0); opening > 0 && opening <= owner.sessions.size()) owner.sessions[opening - 1].open = false;
    fault.type = normal_type(fault.type);
    fault.instance = place(owner);
    owner.stack.back().failure = std::make_unique<Fault>(std::move(fault));
}

std::string Engine::place(const Branch& branch)
{
    for (auto frame = branch.stack.rbegin(); frame != branch.stack.rend(); ++frame) {
        if (frame->kind == Frame::Kind::task) return branch.scopes.back().document->tasks[static_cast<std::size_t>(frame->number)].pointer;
        if (frame->kind == Frame::Kind::workflow) break;
    }
    return "/";
}

Result<std::unique_ptr<Interpreter>> make_interpreter(std::shared_ptr<const Package> package, RunOptions options)
{
    for (const Finding& finding : package->findings)
        if (finding.level == Finding::Level::error) return mill::fail(Errc::invalid, finding.format());
    const auto found = package->workflows.find(options.workflow);
    if (found == package->workflows.end()) return mill::fail(Errc::not_found, fmt::format("the package has no workflow '{}'", options.workflow));
    if (!package->program) return mill::fail(Errc::invalid, "the package's expressions are not compiled");
    const Json snapshot = std::exchange(options.snapshot, {});
    auto engine = std::make_unique<Engine>(package, package->program, std::move(options));
    if (snapshot.is_null()) engine->start(*found->second);
    else if (auto restored = engine->restore(snapshot); !restored) return mill::fail("the snapshot of the run", restored.error());
    return std::unique_ptr<Interpreter>(std::move(engine));
}

}  // namespace mill::workflows
