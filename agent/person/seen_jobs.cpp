#include "agent/person/seen_jobs.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/log.h"
#include "protocol/offer.h"

namespace mill::agent {
namespace {

constexpr std::string_view kProgress = "progress: ";
constexpr std::size_t kMostFiles = 50;

/// What is too much for a page is said to be left out.
Json capped(const Json& value)
{
    if (value.is_null()) return value;
    const std::string text = dump_json(value);
    if (text.size() <= SeenJobs::kMostText) return value;
    return Json::object({{"cut", true}, {"bytes", text.size()}});
}

void collect_files(const Json& value, const std::vector<std::string>& folders, Json& out, int depth)
{
    if (out.size() >= kMostFiles || depth > 16) return;
    if (value.is_string() && value.as_string().starts_with("/") && value.as_string().size() <= 4096 && protocol::covers_path(folders, value.as_string())) out.push(value);
    for (const Json& item : value.as_array()) collect_files(item, folders, out, depth + 1);
    for (const auto& [key, item] : value.as_object()) collect_files(item, folders, out, depth + 1);
}

template <class T>
void push_newest(std::deque<T>& list, T item, std::size_t most)
{
    if (list.size() >= most) list.pop_front();
    list.push_back(std::move(item));
}

}  // namespace

Json files_in(const Json& output, const std::vector<std::string>& folders)
{
    Json out = Json::array();
    collect_files(output, folders, out, 0);
    return out;
}

SeenJobs::Seen& SeenJobs::seen_locked(const protocol::AttemptId& id)
{
    Seen& seen = jobs_[id.job];
    if (seen.id.job.empty()) seen.id = id;
    return seen;
}

void SeenJobs::read_offer(Seen& seen, const Json& offer)
{
    seen.trigger = offer["trigger"].as_string();
    const Json& consent = offer["consent"];
    seen.title = consent["title"].as_string().empty() ? offer["title"].as_string() : consent["title"].as_string();
    seen.asker = consent["asker"].as_string();
    if (auto granted = protocol::parse_permissions(offer["permissions"], "permissions")) seen.write = granted->write;
}

void SeenJobs::apply(Seen& seen, const protocol::Event& event)
{
    const Json& body = event.body;
    if (event.kind == protocol::EventKind::log) {
        const std::string& text = body["text"].as_string();
        if (text.starts_with(kProgress))
            if (auto said = parse_json(std::string_view(text).substr(kProgress.size())); said && said->is_object()) {
                seen.progress = Json::object({{"percent", (*said)["percent"]}, {"text", (*said)["text"].as_string().substr(0, 500)}});
                return;
            }
        push_newest(seen.log, Json::object({{"time", format_time(event.time)}, {"level", body["level"]}, {"text", text.substr(0, 2000)}}), kMostLines);
    } else if (event.kind == protocol::EventKind::step) {
        const std::string& state = body["state"].as_string();
        seen.waiting = state == "waiting";
        if (state == "started" || state == "waiting" || state == "resumed") seen.step = body["name"].as_string();
        for (auto at = seen.steps.rbegin(); at != seen.steps.rend(); ++at)
            if ((*at)["task"] == body["task"] && (*at)["state"].as_string() != "completed") {
                at->set("state", state);
                return;
            }
        push_newest(seen.steps, Json::object({{"task", body["task"]}, {"name", body["name"]}, {"state", state}}), kMostSteps);
    } else if (event.kind == protocol::EventKind::state) {
        seen.state = body["state"].as_string();
        if (seen.state == "running" && !seen.started) seen.started = event.time;
        if (!protocol::final_state(event)) return;
        seen.reason = body["reason"].as_string();
        seen.ended = event.time;
        seen.open = seen.waiting = seen.held_up = seen.cancelling = false;
        seen.output = capped(body["output"]);
        seen.error = capped(body["error"]);
    }
}

void SeenJobs::trim_locked()
{
    std::vector<std::pair<WallTime, std::string>> over;
    for (const auto& [uid, seen] : jobs_)
        if (!seen.open) over.emplace_back(seen.ended.value_or(WallTime{}), uid);
    if (over.size() <= kMostJobs) return;
    std::sort(over.begin(), over.end());
    over.resize(over.size() - kMostJobs);
    for (const auto& [ended, uid] : over) jobs_.erase(uid);
}

void SeenJobs::remember(Journal& journal)
{
    protocol::AttemptId after;
    for (std::size_t i = 0; i < 100'000; ++i) {
        auto said = journal.said_after(after);
        if (!said) return log::warning("person", "what ran before is not shown: {}", said.error().what);
        if (!*said) break;
        after = (*said)->id;
        const std::scoped_lock lock(mutex_);
        Seen seen;
        seen.id = after;
        if (auto offer = parse_json((*said)->offer)) read_offer(seen, *offer);
        for (const std::string& text : (*said)->events)
            if (auto json = parse_json(text))
                if (auto event = protocol::parse_event(*json)) apply(seen, *event);
        jobs_[after.job] = std::move(seen);
        trim_locked();
    }
    const std::scoped_lock lock(mutex_);
    for (auto& [uid, seen] : jobs_)
        if (seen.open && !journal.is_open(seen.id)) seen.open = false;   // given back, or its end was lost
    std::erase_if(jobs_, [](const auto& each) { return !each.second.open && !each.second.ended; });
}

Status SeenJobs::taken(const protocol::AttemptId& id, const std::string& offer)
{
    {
        const std::scoped_lock lock(mutex_);
        Seen seen;
        seen.id = id;
        if (auto json = parse_json(offer)) read_offer(seen, *json);
        jobs_[id.job] = std::move(seen);
    }
    auto done = behind_.taken(id, offer);
    tell();
    return done;
}

Status SeenJobs::started(const protocol::AttemptId& id, const protocol::Event& running, SteadyTime now)
{
    auto done = behind_.started(id, running, now);
    if (!done) return done;
    {
        const std::scoped_lock lock(mutex_);
        apply(seen_locked(id), running);
    }
    tell();
    return done;
}

Status SeenJobs::event(const protocol::AttemptId& id, const protocol::Event& event)
{
    auto done = behind_.event(id, event);
    if (!done) return done;
    bool shown = event.kind == protocol::EventKind::state;
    {
        const std::scoped_lock lock(mutex_);
        Seen& seen = seen_locked(id);
        const std::string step = seen.step;
        const Json progress = seen.progress;
        const bool waiting = seen.waiting;
        apply(seen, event);
        shown = shown || seen.waiting != waiting || seen.step != step || !(seen.progress == progress);
        if (!seen.open) trim_locked();
    }
    if (shown) tell();
    return done;
}

void SeenJobs::told(const protocol::AttemptId& id, const protocol::Event& event)
{
    behind_.told(id, event);
    Json tell = Json::object({{"id", fmt::format("{}.{}", id.key(), event.sequence)}, {"text", event.body["text"].as_string().substr(0, 2000)}, {"title", ""}, {"job", id.job}, {"at", format_time(event.time)}});
    {
        const std::scoped_lock lock(mutex_);
        const Seen& seen = seen_locked(id);
        tell.set("title", seen.title.empty() ? seen.trigger : seen.title);
    }
    if (tells_) tells_(std::move(tell));
}

void SeenJobs::waits(const protocol::AttemptId& id, bool waits)
{
    behind_.waits(id, waits);
    {
        const std::scoped_lock lock(mutex_);
        seen_locked(id).held_up = waits;
    }
    tell();
}

void SeenJobs::not_held(const protocol::AttemptId& id, const std::string& why)
{
    behind_.not_held(id, why);
    {
        const std::scoped_lock lock(mutex_);
        jobs_.erase(id.job);
    }
    tell();
}

void SeenJobs::released(const protocol::AttemptId& id)
{
    behind_.released(id);
    {
        const std::scoped_lock lock(mutex_);
        if (const auto found = jobs_.find(id.job); found != jobs_.end() && found->second.id == id && found->second.open) jobs_.erase(found);
    }
    tell();
}

void SeenJobs::cancelling(const std::string& job)
{
    {
        const std::scoped_lock lock(mutex_);
        const auto found = jobs_.find(job);
        if (found == jobs_.end() || !found->second.open) return;
        found->second.cancelling = true;
    }
    tell();
}

std::vector<protocol::AttemptId> SeenJobs::open() const
{
    const std::scoped_lock lock(mutex_);
    std::vector<protocol::AttemptId> out;
    for (const auto& [uid, seen] : jobs_)
        if (seen.open) out.push_back(seen.id);
    return out;
}

Json SeenJobs::row(const Seen& seen)
{
    const auto time = [](const std::optional<WallTime>& at) { return at ? Json(format_time(*at)) : Json(); };
    return Json::object({{"job", seen.id.job}, {"trigger", seen.trigger}, {"title", seen.title.empty() ? seen.trigger : seen.title}, {"state", seen.state}, {"reason", seen.reason},
                         {"started", time(seen.started)}, {"ended", time(seen.ended)}, {"text", seen.progress["text"].as_string()}, {"output", seen.output}, {"error", seen.error},
                         {"files", files_in(seen.output, seen.write)}});
}

Json SeenJobs::running() const
{
    const std::scoped_lock lock(mutex_);
    std::vector<const Seen*> order;
    for (const auto& [uid, seen] : jobs_)
        if (seen.open) order.push_back(&seen);
    std::sort(order.begin(), order.end(), [](const Seen* a, const Seen* b) { return a->started.value_or(WallTime{INT64_MAX}) < b->started.value_or(WallTime{INT64_MAX}); });
    Json out = Json::array();
    for (const Seen* seen : order)
        out.push(Json::object({{"job", seen->id.job}, {"title", seen->title.empty() ? seen->trigger : seen->title}, {"trigger", seen->trigger}, {"for", seen->asker},
                               {"state", seen->cancelling ? "cancelling" : seen->waiting || seen->held_up ? "waiting" : "running"},
                               {"started", seen->started ? Json(format_time(*seen->started)) : Json()}, {"progress", seen->progress}, {"step", seen->step}}));
    return out;
}

Json SeenJobs::ended() const
{
    const std::scoped_lock lock(mutex_);
    std::vector<const Seen*> order;
    for (const auto& [uid, seen] : jobs_)
        if (!seen.open) order.push_back(&seen);
    std::sort(order.begin(), order.end(), [](const Seen* a, const Seen* b) { return a->ended.value_or(WallTime{}) > b->ended.value_or(WallTime{}); });
    Json out = Json::array();
    for (const Seen* seen : order) out.push(row(*seen));
    return out;
}

std::optional<Json> SeenJobs::job(const std::string& uid) const
{
    const std::scoped_lock lock(mutex_);
    const auto found = jobs_.find(uid);
    if (found == jobs_.end()) return std::nullopt;
    const Seen& seen = found->second;
    Json out = row(seen);
    if (seen.open) out.set("state", seen.cancelling ? "cancelling" : seen.waiting || seen.held_up ? "waiting" : seen.state);
    Json log = Json::array(), steps = Json::array();
    for (const Json& line : seen.log) log.push(line);
    for (const Json& step : seen.steps) steps.push(step);
    return out.set("log", std::move(log)).set("steps", std::move(steps));
}

}  // namespace mill::agent
