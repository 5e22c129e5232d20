#include <algorithm>

#include <fmt/format.h>

#include "workflows/engine.h"

namespace mill::workflows {
namespace {

bool matches(const ErrorFilter& filter, const Fault& fault)
{
    if (filter.type && normal_type(*filter.type) != normal_type(fault.type)) return false;
    if (filter.status && *filter.status != fault.status) return false;
    if (filter.instance && *filter.instance != fault.instance) return false;
    if (filter.title && *filter.title != fault.title) return false;
    return !filter.detail || *filter.detail == fault.detail;
}

}  // namespace

/// Goes down the stack until a `try` takes the fault; at the bottom of a branch it becomes the fork's, then the run's.
void Engine::raise(Branch& branch, Fault fault)
{
    if (fault.instance.empty()) fault.instance = place(branch);
    while (!branch.stack.empty()) {
        Frame& frame = branch.stack.back();
        release(branch, frame);
        if (frame.kind == Frame::Kind::task) {
            if (frame.trying && !frame.trying->catching && frame.stage != Frame::Stage::resumed && caught(branch, fault)) return;
            if (!frame.beside) changed(branch, branch.stack.back(), "faulted", &fault);
        } else if (frame.kind == Frame::Kind::workflow) {
            workflow_changed(branch, branch.scopes.back(), "faulted", Json::object({{"faultedAt", format_time(wall_)}, {"error", to_json(fault)}}));
        }
        pop(branch);
    }
    if (branch.beside) return beside_finished(branch, &fault);
    if (!branch.parent) {
        fault_ = std::move(fault);
        phase_ = Phase::faulted;
        for (const auto& [id, each] : branches_) drop(*each, 0, "cancelled");  // what went on beside
        branches_.clear();
        return;
    }
    Branch& above = this->branch(*branch.parent);
    above.ready = true;
    Frame& fork = above.stack.back();
    const std::uint32_t self = branch.id;
    branches_.erase(self);
    std::erase(fork.children, self);
    raise(above, std::move(fault));
}

/// The try frame is on top. True when it takes the fault: its handler or the next try is under way. `fault` may be replaced.
bool Engine::caught(Branch& branch, Fault& fault)
{
    Frame& frame = branch.stack.back();
    const Task& what = task(branch, frame);
    const CatchClause& clause = *what.catch_;
    branch.locals.resize(std::min(branch.locals.size(), frame.locals));
    frame.attempt.reset();
    close_sessions(branch, std::min(branch.sessions.size(), frame.trying->sessions));
    if (!matches(clause.errors, fault)) return false;
    const Value error(to_json(fault));
    branch.locals.push_back({clause.as, error});
    const auto holds = [&](int expression, bool otherwise) -> std::optional<bool> {
        if (expression < 0) return otherwise;
        OrFault<bool> out = test(branch, frame, expression, frame.input);
        if (out) return *out;
        fault = std::move(out.error());
        return std::nullopt;
    };
    const auto when = holds(clause.when, true);
    if (!when || !*when) return false;
    const auto except = holds(clause.except_when, false);
    if (!except || *except) return false;
    if (clause.retry) {
        const RetryPolicy& policy = *clause.retry;
        if (policy.shared) branch.locals.push_back({"error", error});
        const auto again = holds(policy.when, true);
        if (!again) return false;
        const auto not_again = holds(policy.except_when, false);
        if (!not_again) return false;
        if (*again && !*not_again) {
            bool exhausted = policy.attempts && frame.trying->retries >= *policy.attempts;
            double wait = 0;
            const auto part = [&](const std::optional<DurationSpec>& spec) -> std::optional<double> {
                if (!spec) return 0.0;
                OrFault<Milliseconds> out = measure(branch, frame, *spec, frame.input);
                if (out) return static_cast<double>(out->count());
                fault = std::move(out.error());
                return std::nullopt;
            };
            const auto delay = part(policy.delay), from = part(policy.jitter_from), to = part(policy.jitter_to), whole = part(policy.duration);
            if (!delay || !from || !to || !whole) return false;
            const auto number = static_cast<double>(frame.trying->retries + 1);
            wait = *delay;
            if (policy.backoff == RetryPolicy::Backoff::linear) wait *= number;
            if (policy.backoff == RetryPolicy::Backoff::exponential) wait *= std::exp2(std::min(number - 1, 40.0));
            if (policy.jitter_to) wait += *from + std::max(0.0, *to - *from) * std::uniform_real_distribution<double>(0, 1)(random_);
            wait = std::min(wait, 1e12);
            const SteadyTime due = now_ + Milliseconds(static_cast<std::int64_t>(wait));
            if (policy.duration && due - frame.trying->first > Milliseconds(static_cast<std::int64_t>(*whole))) exhausted = true;
            if (!exhausted) {
                ++frame.trying->retries;
                if (wait > 0) frame.wake = due;
                frame.stage = Frame::Stage::running;
                branch.locals.resize(frame.locals);
                branch.ready = wait <= 0;
                changed(branch, frame, "retried", &fault);
                return true;
            }
        }
    }
    if (clause.retry && clause.list < 0) return false;  // tried again is all that the author wanted of it
    branch.locals.resize(frame.locals + 1);
    frame.trying->catching = true;
    branch.ready = true;
    if (options_.trace) note(branch, frame, "caught", Json::object({{"error", to_json(fault)}, {"handled", clause.list >= 0}, {"retries", frame.trying->retries}}));
    if (clause.list < 0) {  // swallowed: the task's output is its input
        frame.answer = frame.input;
        frame.stage = Frame::Stage::resumed;
        return true;
    }
    frame.stage = Frame::Stage::running;
    Value data = frame.input;
    push_list(branch, clause.list, std::move(data));
    return true;
}

void Engine::fault_run(Fault fault)
{
    fault_ = std::move(fault);
    for (auto& [id, each] : branches_) {
        const bool main = !each->parent && !each->beside;
        while (!each->stack.empty()) {
            Frame& frame = each->stack.back();
            if (frame.effect != 0) cancellations_.push_back(frame.effect);
            if (frame.kind == Frame::Kind::task && !frame.beside) changed(*each, frame, "faulted", &fault_);
            if (main && frame.kind == Frame::Kind::workflow)
                workflow_changed(*each, each->scopes.back(), "faulted", Json::object({{"faultedAt", format_time(wall_)}, {"error", to_json(fault_)}}));
            pop(*each);
        }
    }
    effects_.clear();
    branches_.clear();
    phase_ = Phase::faulted;
}

void Engine::release(Branch& branch, Frame& frame)
{
    if (frame.effect != 0) {
        cancellations_.push_back(frame.effect);
        effects_.erase(frame.effect);
        frame.effect = 0;
    }
    frame.wake.reset();
    const std::vector<std::uint32_t> children = std::exchange(frame.children, {});
    for (const std::uint32_t child : children) end_branch(child);
    (void)branch;
}

void Engine::end_branch(std::uint32_t id)
{
    const auto found = branches_.find(id);
    if (found == branches_.end()) return;
    drop(*found->second, 0, "cancelled");
    branches_.erase(id);
}

void Engine::drop(Branch& branch, std::size_t down_to, std::string_view state)
{
    while (branch.stack.size() > down_to) {
        Frame& frame = branch.stack.back();
        release(branch, frame);
        if (frame.kind == Frame::Kind::task) {
            if (!frame.beside) changed(branch, frame, state);
        } else if (frame.kind == Frame::Kind::workflow && state == "cancelled")
            workflow_changed(branch, branch.scopes.back(), state, Json::object({{"cancelledAt", format_time(wall_)}}));
        pop(branch);
    }
}

/// Timers and deadlines of one branch, the outermost first. True when something happened.
bool Engine::expire(Branch& branch)
{
    for (std::size_t i = 0; i < branch.stack.size(); ++i) {
        Frame& frame = branch.stack[i];
        const bool whole = frame.deadline && *frame.deadline <= now_, attempt = frame.attempt && *frame.attempt <= now_;
        if (!whole && !attempt) continue;
        branch.ready = true;
        const std::string where = frame.kind == Frame::Kind::task ? "" : "/";
        drop(branch, i + 1, "cancelled");
        Frame& top = branch.stack.back();
        Fault fault = make_fault(ErrorType::timeout, whole ? "it took longer than its timeout" : "the attempt took longer than its limit", where);
        if (whole && top.kind == Frame::Kind::task) {  // its own catch does not see it
            fault.instance = place(branch);
            release(branch, top);
            changed(branch, top, "faulted", &fault);
            pop(branch);
        } else if (!whole) {
            fault.instance = place(branch);
        }
        raise(branch, std::move(fault));
        return true;
    }
    if (branch.stack.empty()) return false;
    Frame& top = branch.stack.back();
    if (top.wake && *top.wake <= now_) {
        top.wake.reset();
        branch.ready = true;
        if (top.trying) return false;
        top.stage = Frame::Stage::resumed;
        if (top.asking && top.effect == 0) return false;  // answered in the meantime
        if (top.asking) {  // nobody else counts how long an answer is waited for
            cancellations_.push_back(top.effect);
            effects_.erase(top.effect);
            top.effect = 0;
            top.answer = Value(Json::object({{"state", "expired"}}));
            return false;
        }
        if (top.whole) workflow_changed(branch, branch.scopes.back(), "resumed", Json::object({{"resumedAt", format_time(wall_)}}));
        changed(branch, top, "resumed");
    }
    return false;
}

std::optional<Milliseconds> Engine::remaining(const Branch& branch) const
{
    std::optional<SteadyTime> soonest;
    for (const Branch* each = &branch; each != nullptr; each = each->parent ? branches_.at(*each->parent).get() : nullptr)
        for (const Frame& frame : each->stack)
            for (const auto& time : {frame.deadline, frame.attempt})
                if (time && (!soonest || *time < *soonest)) soonest = time;
    if (!soonest) return std::nullopt;
    return std::max(Milliseconds(0), std::chrono::duration_cast<Milliseconds>(*soonest - now_));
}

void Engine::cancel(std::string why)
{
    if (phase_ != Phase::running && phase_ != Phase::pending) return;
    std::vector<Branch*> roots;
    for (const auto& [id, each] : branches_)
        if (!each->parent) roots.push_back(each.get());  // dropping one takes its forks along
    for (Branch* each : roots) drop(*each, 0, "cancelled");
    branches_.clear();
    effects_.clear();
    pause_.reset();
    fault_ = make_fault(ErrorType::runtime, std::move(why), "/");
    phase_ = Phase::cancelled;
}

}  // namespace mill::workflows
