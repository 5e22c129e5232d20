// The interpreter for who watches it: what a trace says beside a task's state, and standing still before a task.
#include <algorithm>

#include "workflows/engine.h"

namespace mill::workflows {

/// Frames below and including `top` (all of the branch without one), with those of the branches it was forked from.
std::size_t Engine::depth(const Branch& branch, const Frame* top) const
{
    std::size_t out = branch.stack.size();
    if (top != nullptr)
        for (std::size_t i = 0; i < branch.stack.size(); ++i)
            if (&branch.stack[i] == top) out = i + 1;
    if (branch.parent)
        if (const auto above = branches_.find(*branch.parent); above != branches_.end()) out += depth(*above->second);
    return out;
}

Json Engine::traced(const Frame& frame, const Task& what, std::string_view state, const Directive* next) const
{
    Json out = Json::object({{"input", frame.raw.json()}});
    if (state == "skipped") out.set("if", what.definition["if"]);
    if (state == "retried") {
        out.set("retry", frame.trying->retries);
        out.set("waitMs", frame.wake ? std::chrono::duration_cast<Milliseconds>(*frame.wake - now_).count() : 0);
    }
    const std::string call = call_name(what);
    if (!call.empty() && (state == "completed" || state == "faulted")) out.set("call", call);
    if (state != "completed") return out;
    if (!call.empty()) out.set("result", frame.answer.json());
    out.set("output", frame.output.json());
    if (next == nullptr) return out;
    for (const SwitchCase& each : what.cases)
        if (&each.then == next) out.set("case", each.name);
    if (what.kind == TaskKind::switch_ && !out.contains("case")) out.set("case", Json());
    using Kind = Directive::Kind;
    if (next->kind != Kind::next) out.set("then", next->kind == Kind::exit ? "exit" : next->kind == Kind::end ? "end" : next->name);
    return out;
}

void Engine::note(const Branch& branch, const Frame& frame, std::string_view state, Json detail)
{
    if (!options_.steps) return;
    const Task& what = task(branch, frame);
    changes_.push_back({what.pointer, what.name, std::string(name(what.kind)), std::string(state), std::move(detail), {}, wall_, {}, frame.started,
                        depth(branch, &frame), branch.id, true});
}

/// The task on top was not entered yet: does somebody want to stand still here?
bool Engine::pauses(Branch& branch)
{
    Frame& frame = branch.stack.back();
    const Task& what = task(branch, frame);
    Pause here{what.pointer, what.name, std::string(name(what.kind)), document(branch).file, what.mark.line, depth(branch), branch.id, {}, {}};
    if (!wanted_(here)) return false;
    here.names = {"context", "input", "secrets", "workflow", "task", "runtime"};
    for (const Local& local : branch.locals)
        if (std::find(here.names.begin(), here.names.end(), local.name) == here.names.end()) here.names.push_back(local.name);
    for (const Branch* each = &branch; each != nullptr; each = each->parent ? branches_.at(*each->parent).get() : nullptr) {
        std::vector<std::string> tasks;
        std::size_t scope = 0;
        for (const Frame& below : each->stack) {
            if (below.kind == Frame::Kind::workflow && &below != &each->stack.front()) ++scope;
            if (below.kind == Frame::Kind::task)
                tasks.push_back(each->scopes[std::min(scope, each->scopes.size() - 1)].document->tasks[static_cast<std::size_t>(below.number)].pointer);
        }
        here.stack.insert(here.stack.begin(), tasks.begin(), tasks.end());
    }
    frame.input = frame.raw;  // $input, until the task shapes its own
    paused_branch_ = branch.id;
    pause_ = std::move(here);
    return true;
}

Result<Json> Engine::look(std::string_view text)
{
    if (!pause_) return mill::fail(Errc::conflict, "the run does not stand still");
    const Branch& where = branch(paused_branch_);
    const Frame& frame = where.stack.back();
    Expression expression;
    if (text.starts_with("${") && text.ends_with('}')) text = text.substr(2, text.size() - 3);
    expression.text = text;
    expression.pointer = pause_->task;
    if (Status ready = prepare(expression, pause_->names); !ready) return mill::fail(ready.error());
    std::vector<CompileError> errors;
    const std::unique_ptr<Program> program = compile({&expression}, errors);
    if (!program) return mill::fail(Errc::invalid, errors.empty() ? "it does not compile" : errors.front().what);
    std::vector<Value> arguments;
    for (const std::string& name : expression.variables) arguments.push_back(argument(where, frame, name));
    Result<Value> out = program->evaluate(expression, frame.raw, arguments, kExpressionPatience);
    if (!out) return mill::fail(out.error());
    return out->json();
}

}  // namespace mill::workflows
