// A run that waits for people, as plain values, and back: what a machine that starts anew goes on from.
#include <fmt/format.h>

#include "workflows/engine.h"

namespace mill::workflows {
namespace {

constexpr std::int64_t kSnapshotVersion = 1;

/// Times are kept relative to the moment of the snapshot: a steady clock means nothing after a restart.
Json since(const std::optional<SteadyTime>& time, SteadyTime now) { return time ? Json(static_cast<std::int64_t>((*time - now).count())) : Json(); }
std::optional<SteadyTime> at(const Json& json, SteadyTime now)
{
    if (!json.is_integer()) return std::nullopt;
    return now + Microseconds(json.as_integer());
}

Status unusable(std::string_view what) { return mill::fail(Errc::corrupt, fmt::format("{} does not fit the package", what)); }

}  // namespace

std::string Engine::name_of(const Document& document) const
{
    for (const auto& [name, each] : package_->workflows)
        if (each.get() == &document) return "workflow " + name;
    for (std::size_t i = 0; i < package_->dependencies.size(); ++i)
        if (package_->dependencies[i].get() == &document) return fmt::format("dependency {}", i);
    return {};
}

const Document* Engine::document_named(std::string_view name) const
{
    for (const auto& [key, each] : package_->workflows)
        if ("workflow " + key == name) return each.get();
    for (std::size_t i = 0; i < package_->dependencies.size(); ++i)
        if (fmt::format("dependency {}", i) == name) return package_->dependencies[i].get();
    return nullptr;
}

std::string Engine::snapshot_trouble() const
{
    if (!waits_for_people()) return "something else than a person's answer is waited for";
    for (const auto& [id, each] : branches_) {
        for (const Session& session : each->sessions)
            if (session.open) return fmt::format("a {} session is open", session.kind);
        for (const Scope& scope : each->scopes)
            if (name_of(*scope.document).empty()) return "a workflow of the run has no name in the package";
    }
    return {};
}

Result<Json> Engine::snapshot() const
{
    if (std::string trouble = snapshot_trouble(); !trouble.empty()) return mill::fail(Errc::conflict, std::move(trouble));
    Json branches = Json::array();
    for (const auto& [id, each] : branches_) branches.push(saved(*each));
    return Json::object({{"version", kSnapshotVersion}, {"workflow", options_.workflow}, {"wall", format_time(wall_)}, {"steps", steps_}, {"nextBranch", next_branch_},
                         {"nextEffect", next_effect_}, {"nextSession", next_session_}, {"mainDone", main_done_}, {"output", output_}, {"branches", std::move(branches)}});
}

Json Engine::saved(const Branch& branch) const
{
    Json scopes = Json::array(), locals = Json::array(), stack = Json::array();
    for (const Scope& scope : branch.scopes) {
        Json workflow = scope.workflow.json();
        workflow.erase("definition");  // the document's, which is there
        scopes.push(Json::object({{"document", name_of(*scope.document)}, {"context", scope.context.json()}, {"workflow", std::move(workflow)}, {"secrets", scope.secrets.json()}}));
    }
    for (const Local& local : branch.locals) locals.push(Json::object({{"name", local.name}, {"value", local.value.json()}}));
    for (const Frame& frame : branch.stack) stack.push(saved(frame));
    Json out = Json::object({{"id", branch.id}, {"index", branch.index}, {"ready", branch.ready}, {"done", branch.done}, {"beside", branch.beside}, {"sessions", branch.sessions.size()},
                             {"scopes", std::move(scopes)}, {"locals", std::move(locals)}, {"stack", std::move(stack)}, {"output", branch.output.json()}});
    if (branch.parent) out.set("parent", *branch.parent);
    return out;
}

Json Engine::saved(const Frame& frame) const
{
    Json out = Json::object({{"kind", static_cast<int>(frame.kind)}, {"stage", static_cast<int>(frame.stage)}, {"number", frame.number}, {"position", frame.position},
                             {"locals", frame.locals}, {"raw", frame.raw.json()}, {"input", frame.input.json()}, {"output", frame.output.json()}, {"answer", frame.answer.json()},
                             {"started", format_time(frame.started)}, {"deadline", since(frame.deadline, now_)}, {"attempt", since(frame.attempt, now_)},
                             {"effect", frame.effect}, {"request", frame.request}, {"pending", frame.pending}, {"beside", frame.beside}, {"whole", frame.whole},
                             {"asking", frame.asking}});
    if (frame.loop) out.set("loop", Json::object({{"items", frame.loop->items.json()}, {"index", frame.loop->index}, {"count", frame.loop->count}}));
    if (frame.trying)
        out.set("trying", Json::object({{"retries", frame.trying->retries}, {"first", since(frame.trying->first, now_)}, {"catching", frame.trying->catching}, {"sessions", frame.trying->sessions}}));
    Json children = Json::array();
    for (const std::uint32_t child : frame.children) children.push(child);
    if (!frame.children.empty()) out.set("children", std::move(children));
    if (frame.sessions) out.set("sessions", *frame.sessions);
    return out;
}

Status Engine::restore(const Json& snapshot)
{
    if (snapshot["version"].as_integer() != kSnapshotVersion) return mill::fail(Errc::invalid, fmt::format("its form {} is not known here", snapshot["version"].as_integer()));
    if (snapshot["workflow"].as_string() != options_.workflow) return unusable("its workflow");
    if (!is_snapshot(snapshot)) return unusable("a number");
    const auto wall = parse_time(snapshot["wall"].as_string());
    if (!wall) return mill::fail("wall", wall.error());
    wall_ = *wall;
    steps_ = static_cast<std::uint64_t>(snapshot["steps"].as_integer());
    next_branch_ = static_cast<std::uint32_t>(snapshot["nextBranch"].as_integer());
    next_effect_ = static_cast<std::uint64_t>(snapshot["nextEffect"].as_integer());
    next_session_ = static_cast<std::uint64_t>(snapshot["nextSession"].as_integer());
    main_done_ = snapshot["mainDone"].as_bool();
    output_ = snapshot["output"];
    for (const Json& each : snapshot["branches"].as_array())
        if (auto ok = restore_branch(each); !ok) return ok;
    if (branches_.empty()) return unusable("a run without a branch");
    if (!fits()) return unusable("where it stands");
    resuming_ = true;
    phase_ = Phase::running;
    return waits_for_people() ? Status() : unusable("a run that waits for nobody");
}

Status Engine::restore_branch(const Json& json)
{
    auto made = std::make_unique<Branch>();
    Branch& branch = *made;
    branch.id = static_cast<std::uint32_t>(json["id"].as_integer());
    if (json.contains("parent")) branch.parent = static_cast<std::uint32_t>(json["parent"].as_integer());
    branch.index = static_cast<std::size_t>(json["index"].as_integer());
    branch.ready = json["ready"].as_bool();
    branch.done = json["done"].as_bool();
    branch.beside = json["beside"].as_bool();
    branch.output = Value(json["output"]);
    branch.sessions.resize(std::min<std::size_t>(static_cast<std::size_t>(json["sessions"].as_integer()), 10'000));
    for (Session& session : branch.sessions) session.open = false;
    for (const Json& each : json["locals"].as_array()) branch.locals.push_back({each["name"].as_string(), Value(each["value"])});
    std::vector<const Document*> documents;
    for (const Json& each : json["scopes"].as_array()) {
        const Document* document = document_named(each["document"].as_string());
        if (document == nullptr) return unusable("a workflow");
        Scope scope;
        scope.document = document;
        scope.context = Value(each["context"]);
        scope.secrets = Value(each["secrets"]);
        const Json& workflow = each["workflow"];
        scope.workflow = Value::object({{"id", Value(workflow["id"])}, {"definition", Value(document->source)}, {"input", Value(workflow["input"])}, {"startedAt", Value(workflow["startedAt"])}});
        branch.scopes.push_back(std::move(scope));
        documents.push_back(document);
    }
    // The frames of a branch stand in its scopes, from the first one on: each `workflow` frame begins the next.
    std::size_t workflows = 0;
    for (const Json& each : json["stack"].as_array()) workflows += static_cast<int>(each["kind"].as_integer()) == static_cast<int>(Frame::Kind::workflow) ? 1 : 0;
    if (documents.empty() || workflows > documents.size()) return unusable("a branch");
    std::size_t scope = documents.size() - workflows;  // a fork's branch begins within its parent's
    for (const Json& each : json["stack"].as_array()) {
        if (auto ok = restore_frame(each, branch); !ok) return ok;
        Frame& frame = branch.stack.back();
        if (frame.kind == Frame::Kind::workflow) {
            ++scope;
            continue;
        }
        if (scope == 0) return unusable("a frame");
        const Document& in = *documents[scope - 1];
        const std::size_t most = frame.kind == Frame::Kind::list ? in.lists.size() : in.tasks.size();
        if (frame.number < 0 || static_cast<std::size_t>(frame.number) >= most || frame.locals > branch.locals.size()) return unusable("a task");
        if (frame.kind == Frame::Kind::list && (frame.position < 0 || static_cast<std::size_t>(frame.position) >= in.lists[static_cast<std::size_t>(frame.number)].tasks.size())) return unusable("a place in a list");
        if (frame.effect != 0) effects_[frame.effect] = branch.id;
    }
    const std::uint32_t id = branch.id;
    if (!branches_.emplace(id, std::move(made)).second) return unusable("a branch");
    return {};
}

Status Engine::restore_frame(const Json& json, Branch& branch)
{
    const std::int64_t kind = json["kind"].as_integer(), stage = json["stage"].as_integer();
    if (kind < 0 || kind > 2 || stage < 0 || stage > 2) return unusable("a frame");
    const auto started = parse_time(json["started"].as_string());
    Frame frame;
    frame.kind = static_cast<Frame::Kind>(kind);
    frame.stage = static_cast<Frame::Stage>(stage);
    frame.number = static_cast<int>(json["number"].as_integer());
    frame.position = static_cast<int>(json["position"].as_integer());
    frame.locals = static_cast<std::size_t>(json["locals"].as_integer());
    frame.raw = Value(json["raw"]);
    frame.input = Value(json["input"]);
    frame.output = Value(json["output"]);
    frame.answer = Value(json["answer"]);
    if (started) frame.started = *started;
    frame.deadline = at(json["deadline"], now_);
    frame.attempt = at(json["attempt"], now_);
    frame.effect = static_cast<std::uint64_t>(json["effect"].as_integer());
    frame.request = json["request"];
    frame.pending = static_cast<std::size_t>(json["pending"].as_integer());
    frame.beside = json["beside"].as_bool();
    frame.whole = json["whole"].as_bool();
    frame.asking = json["asking"].as_bool();
    if (const Json* loop = json.find("loop")) {
        frame.loop = std::make_unique<Loop>();
        frame.loop->items = Value((*loop)["items"]);
        frame.loop->index = static_cast<std::size_t>((*loop)["index"].as_integer());
        frame.loop->count = std::min(static_cast<std::size_t>((*loop)["count"].as_integer()), (*loop)["items"].size());
    }
    if (const Json* trying = json.find("trying")) {
        frame.trying = std::make_unique<Trying>();
        frame.trying->retries = (*trying)["retries"].as_integer();
        frame.trying->first = at((*trying)["first"], now_).value_or(now_);
        frame.trying->catching = (*trying)["catching"].as_bool();
        frame.trying->sessions = static_cast<std::size_t>((*trying)["sessions"].as_integer());
    }
    for (const Json& child : json["children"].as_array()) frame.children.push_back(static_cast<std::uint32_t>(child.as_integer()));
    if (json.contains("sessions")) frame.sessions = static_cast<std::size_t>(json["sessions"].as_integer());
    branch.stack.push_back(std::move(frame));
    return {};
}

/// The first `advance` after `restore` says what time it is: all that was relative to the snapshot is counted from there, less what has passed.
void Engine::resume_at(WallTime wall, SteadyTime now)
{
    resuming_ = false;
    const Microseconds passed = std::max(Microseconds(0), Microseconds(wall - wall_));
    const Microseconds ahead = (now - now_) - passed;
    for (auto& [id, each] : branches_)
        for (Frame& frame : each->stack) {
            for (auto* time : {&frame.deadline, &frame.attempt})
                if (*time) **time = **time + ahead;
            if (frame.trying) frame.trying->first = frame.trying->first + ahead;
            if (frame.asking && options_.own_deadlines) frame.wake = now + Milliseconds(frame.request["withinMs"].as_integer());
        }
}

}  // namespace mill::workflows
