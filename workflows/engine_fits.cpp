// Whether a run that was put together from its snapshot stands as a run of this package can stand: what steps rely on, each number within what it counts.
#include <algorithm>
#include <cstdlib>
#include <set>

#include "workflows/activities/registry.h"
#include "workflows/engine.h"

namespace mill::workflows {
namespace {

constexpr std::size_t kMostFrames = 600, kMostBranches = 2100;   // a little above what a run may have
constexpr std::int64_t kFarthestTime = std::int64_t{100} * 366 * 86'400 * 1'000'000;
constexpr std::int64_t kLongestAskedMs = std::int64_t{366} * 86'400'000;
constexpr std::int64_t kMostCounted = std::int64_t{1} << 40;

bool is_count(const Json& json) { return json.is_integer() && json.as_integer() >= 0 && json.as_integer() <= kMostCounted; }
bool is_time(const Json& json) { return json.is_null() || (json.is_integer() && std::abs(json.as_integer() / 2) <= kFarthestTime / 2); }

bool is_frame(const Json& frame)
{
    for (const char* count : {"position", "locals", "effect", "pending", "kind", "stage"})
        if (!is_count(frame[count])) return false;
    const Json& number = frame["number"];
    if (!number.is_integer() || number.as_integer() < -1 || number.as_integer() > INT32_MAX || frame["position"].as_integer() > INT32_MAX) return false;
    if (frame.contains("sessions") && !is_count(frame["sessions"])) return false;
    if (frame.contains("loop") && !(is_count(frame["loop"]["index"]) && is_count(frame["loop"]["count"]))) return false;
    const Json& trying = frame["trying"];
    if (frame.contains("trying") && !(is_count(trying["retries"]) && is_count(trying["sessions"]) && is_time(trying["first"]))) return false;
    const auto& children = frame["children"].as_array();
    return is_time(frame["deadline"]) && is_time(frame["attempt"]) && frame["request"]["withinMs"].as_integer() >= 0 && frame["request"]["withinMs"].as_integer() <= kLongestAskedMs &&
           children.size() <= kMostBranches && std::all_of(children.begin(), children.end(), is_count);
}

bool is_branch(const Json& branch)
{
    const auto& stack = branch["stack"].as_array();
    return is_count(branch["id"]) && is_count(branch["index"]) && is_count(branch["sessions"]) && (!branch.contains("parent") || is_count(branch["parent"])) && stack.size() <= kMostFrames &&
           std::all_of(stack.begin(), stack.end(), is_frame);
}

}  // namespace

/// Before anything of it is converted.
bool Engine::is_snapshot(const Json& snapshot)
{
    for (const char* count : {"steps", "nextBranch", "nextEffect", "nextSession"})
        if (!is_count(snapshot[count])) return false;
    const auto& branches = snapshot["branches"].as_array();
    return branches.size() <= kMostBranches && std::all_of(branches.begin(), branches.end(), is_branch);
}

/// What may stand on a task that goes on in there.
bool Engine::fits_above(const Branch& branch, const Document& in, const Frame& frame, const Frame& above, const Document* called) const
{
    const Task& what = in.tasks[static_cast<std::size_t>(frame.number)];
    const bool list = above.kind == Frame::Kind::list;
    switch (what.kind) {
    case TaskKind::do_: return list && above.number == what.list;
    case TaskKind::for_:
        return list && above.number == what.list && frame.loop && frame.loop->index < frame.loop->count && frame.loop->count <= frame.loop->items.size() && above.sessions && above.locals >= frame.locals + 2;
    case TaskKind::try_:
        if (!frame.trying || frame.trying->sessions > branch.sessions.size()) return false;
        return list && (frame.trying->catching ? above.number == what.catch_->list && above.locals > frame.locals : above.number == what.list);
    case TaskKind::call_function: {
        const auto function = in.functions.find(what.target);
        return above.kind == Frame::Kind::task && function != in.functions.end() && above.number == function->second;
    }
    case TaskKind::run_workflow: return above.kind == Frame::Kind::workflow && called != nullptr && called == find_workflow(*package_, in, what.target);
    default: return false;
    }
}

/// Nothing is on it: it waits for a person, or for the branches of its fork.
bool Engine::fits_on_top(const Branch& branch, const Document& in, const Frame& frame) const
{
    if (frame.kind != Frame::Kind::task || frame.stage != Frame::Stage::running) return false;
    const Task& what = in.tasks[static_cast<std::size_t>(frame.number)];
    if (what.kind != TaskKind::fork) {
        const Activity* activity = what.kind == TaskKind::call_activity ? find_activity(what.target) : nullptr;
        return activity != nullptr && activity->prepare && frame.asking && frame.effect > 0 && frame.effect < next_effect_ && frame.children.empty();
    }
    if (frame.effect != 0 || frame.asking || frame.children.size() != what.branches.size()) return false;
    std::size_t open = 0;
    for (const std::uint32_t id : frame.children) {
        const auto child = branches_.find(id);
        if (child == branches_.end() || child->second->parent != branch.id || id <= branch.id) return false;
        open += child->second->done ? 0 : 1;
    }
    return open > 0 && frame.pending == open && (!what.compete || open == frame.children.size());
}

bool Engine::fits(const Branch& branch) const
{
    if (branch.ready || branch.scopes.empty()) return false;
    if (branch.parent) {   // by what its parent says of it, once for each branch of the fork
        const auto above = branches_.find(*branch.parent);
        if (above == branches_.end() || above->second->stack.empty()) return false;
        const Branch& parent = *above->second;
        const Frame& fork = parent.stack.back();
        const Document& in = *parent.scopes.back().document;
        if (fork.kind != Frame::Kind::task || branch.index >= fork.children.size() || fork.children[branch.index] != branch.id || branch.scopes.front().document != &in) return false;
        const Task& what = in.tasks[static_cast<std::size_t>(fork.number)];
        if (branch.done) return branch.stack.empty();
        if (branch.stack.empty() || branch.stack.front().kind != Frame::Kind::list || branch.index >= what.branches.size() || branch.stack.front().number != what.branches[branch.index]) return false;
    } else if (branch.done || branch.stack.empty() || branch.stack.front().kind != (branch.beside ? Frame::Kind::task : Frame::Kind::workflow)) {
        return false;
    }
    std::size_t scope = branch.parent || branch.beside ? 1 : 0, locals = 0;
    for (std::size_t i = 0; i < branch.stack.size(); ++i) {
        const Frame& frame = branch.stack[i];
        const bool top = i + 1 == branch.stack.size();
        if (frame.locals < locals || frame.locals > branch.locals.size() || frame.beside != (branch.beside && i == 0)) return false;
        if (frame.sessions && *frame.sessions > branch.sessions.size()) return false;
        locals = frame.locals;
        if (frame.kind == Frame::Kind::workflow) ++scope;
        const Document& in = *branch.scopes[scope - 1].document;
        if (top) return fits_on_top(branch, in, frame) && scope == branch.scopes.size();
        const Frame& above = branch.stack[i + 1];
        if (frame.effect != 0 || frame.asking || !frame.children.empty()) return false;
        const Document* called = above.kind == Frame::Kind::workflow && scope < branch.scopes.size() ? branch.scopes[scope].document : nullptr;
        if (frame.kind == Frame::Kind::workflow && (above.kind != Frame::Kind::list || above.number != in.main)) return false;
        if (frame.kind == Frame::Kind::list && (above.kind != Frame::Kind::task || above.number != in.lists[static_cast<std::size_t>(frame.number)].tasks[static_cast<std::size_t>(frame.position)])) return false;
        if (frame.kind == Frame::Kind::task && (frame.stage != Frame::Stage::running || !fits_above(branch, in, frame, above, called))) return false;
    }
    return false;
}

bool Engine::fits() const
{
    std::size_t mains = 0, asked = 0;
    for (const auto& [id, each] : branches_) {
        if (id >= next_branch_ || !fits(*each)) return false;
        mains += !each->parent && !each->beside ? 1 : 0;
        asked += !each->stack.empty() && each->stack.back().asking ? 1 : 0;
    }
    return mains == (main_done_ ? 0 : 1) && asked == effects_.size();
}

}  // namespace mill::workflows
