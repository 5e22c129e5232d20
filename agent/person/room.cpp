#include "agent/person/room.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "platform/base/log.h"
#include "platform/machine.h"

namespace mill::agent {
namespace {

constexpr std::size_t kMostHistory = 20, kMostTells = 50, kMostFaces = 8;

Json time_or_null(const std::optional<WallTime>& time) { return time ? Json(format_time(*time)) : Json(); }

/// The later of what a row says about when it was.
const std::string& when(const Json& row) { return row["ended"].as_string().empty() ? row["started"].as_string() : row["ended"].as_string(); }

/// This person started it, from here.
bool is_mine(const std::vector<PersonRoom::Factory>& factories, const std::string& job)
{
    return std::any_of(factories.begin(), factories.end(), [&](const PersonRoom::Factory& each) { return each.person->launches().is_mine(job); });
}

}  // namespace

std::string PersonRoom::user() const
{
    for (const Factory& each : factories_)
        if (std::string name = each.person->user(); !name.empty()) return name;
    return {};
}

std::string PersonRoom::by(const std::string& caller) const
{
    const std::string name = user();
    return name.empty() ? caller : name;
}

Json PersonRoom::running() const
{
    Json out = Json::array();
    const Json rows = parts_.seen.running();
    for (Json row : rows.as_array()) {
        const std::string job = row["job"].as_string();
        row.set("mine", is_mine(factories_, job));
        out.push(std::move(row));
    }
    return out;
}

Json PersonRoom::history() const
{
    std::vector<Json> rows;
    std::map<std::string, Json> here;
    const Json ended = parts_.seen.ended();
    for (const Json& row : ended.as_array()) here[row["job"].as_string()] = row;
    for (const Factory& each : factories_) {
        const Json view = each.person->view();
        for (Json row : view["jobs"].as_array()) {
            const auto seen = here.find(row["job"].as_string());
            row.set("files", seen == here.end() ? Json::array() : seen->second["files"]);
            if (seen != here.end() && row["ended"].is_null()) row = seen->second;   // the factory has not heard of its end yet
            if (seen != here.end()) here.erase(seen);
            rows.push_back(std::move(row));
        }
        const Json failed = each.person->launches().failed();
        for (const Json& row : failed.as_array()) rows.push_back(row);
    }
    for (auto& [uid, row] : here) rows.push_back(std::move(row));
    std::stable_sort(rows.begin(), rows.end(), [](const Json& a, const Json& b) { return when(a) > when(b); });
    if (rows.size() > kMostHistory) rows.resize(kMostHistory);
    for (Json& row : rows) row.set("mine", is_mine(factories_, row["job"].as_string()));
    return Json(Json::Array(rows.begin(), rows.end()));
}

Json PersonRoom::person() const
{
    const std::int64_t version = parts_.changes.version();   // before anything is read: what changes meanwhile is seen again
    Json launchable = Json::array(), questions = Json::array(), consents = Json::array(), queued = Json::array(), agents = Json::array();
    const auto append = [&](Json& list, const Json& items, const Factory& factory) {
        for (Json item : items.as_array()) list.push(factories_.size() > 1 ? std::move(item.set("factory", factory.url)) : std::move(item));
    };
    for (const Factory& each : factories_) {
        const Json view = each.person->view();
        append(launchable, view["launchable"], each);
        append(questions, view["questions"], each);
        append(consents, each.person->consents().list(), each);
        append(queued, each.person->launches().waiting(), each);
        std::string why;
        const bool online = each.person->is_online(&why);
        agents.push(Json::object({{"name", each.agent}, {"factory", each.url}, {"state", online ? "online" : "offline"}, {"why", online ? "" : why}, {"mode", "attended"}}));
    }
    Json paused;
    if (const auto pause = parts_.paused(); pause && (!pause->until || *pause->until > parts_.clock.now()))
        paused = Json::object({{"until", time_or_null(pause->until)}, {"why", pause->why}, {"by", pause->by}});
    Json out = Json::object({{"version", version}, {"agent", agents[std::size_t{0}]}, {"user", user()}, {"session", Json()}, {"paused", std::move(paused)}, {"running", running()},
                             {"launchable", std::move(launchable)}, {"queued", std::move(queued)}, {"questions", std::move(questions)}, {"consents", std::move(consents)}});
    if (factories_.size() > 1) out.set("agents", std::move(agents));
    Json history_rows = history();
    const std::scoped_lock lock(mutex_);
    Json shown = Json::array();
    for (const auto& [id, each] : tells_) shown.push(each);
    out.set("session", session_).set("tells", std::move(shown)).set("history", std::move(history_rows)).set("faces", faces_locked()).set("stop", stop_key_locked());
    return out;
}

std::optional<Json> PersonRoom::job(const std::string& uid) const
{
    auto here = parts_.seen.job(uid);
    for (const Factory& each : factories_) {
        const Json view = each.person->view();
        for (Json row : view["jobs"].as_array()) {
            if (row["job"].as_string() != uid) continue;
            const bool ahead = here && row["ended"].is_null();
            Json out = ahead ? *here : std::move(row);
            out.set("files", here ? (*here)["files"] : Json::array()).set("log", here ? (*here)["log"] : Json::array()).set("steps", here ? (*here)["steps"] : Json::array());
            return out;
        }
    }
    return here;
}

std::vector<AtPerson*> PersonRoom::those(const std::string& factory, const std::function<bool(const AtPerson&)>& has) const
{
    std::vector<AtPerson*> out;
    for (const Factory& each : factories_)
        if ((factory.empty() || each.url == factory) && has(*each.person)) out.push_back(each.person);
    return out;
}

void PersonRoom::launch(Launch launch, const std::string& factory, Tell tell)
{
    const auto found = those(factory, [&](const AtPerson& person) { return person.may_launch(launch.trigger); });
    if (found.size() == 1) return found.front()->launch(std::move(launch), std::move(tell));
    const std::string trigger = launch.trigger.substr(0, 200);
    if (found.empty()) return tell(told_no(404, "unknown", fmt::format("there is no '{}' that may be started here", trigger)));
    tell(told_no(409, "several", fmt::format("{} factories have a '{}' for this person: say which one (`factory`)", found.size(), trigger)));
}

void PersonRoom::answer(const std::string& question, const std::string& factory, Json answer, std::string comment, Tell tell)
{
    const auto found = those(factory, [&](const AtPerson& person) { return person.asks(question); });
    if (found.size() == 1) return found.front()->answer(question, std::move(answer), std::move(comment), std::move(tell));
    if (found.empty()) return tell(told_no(410, "expired", "nobody asks this person that (any more)"));
    tell(told_no(409, "several", fmt::format("{} factories ask a question of this name: say which one (`factory`)", found.size())));
}

Told PersonRoom::choose(const std::string& consent, const std::string& choice, const std::string& caller)
{
    Told out;
    for (const Factory& each : factories_) {
        out = each.person->choose(consent, choice, by(caller));
        if (out.status != 404) return out;
    }
    return out;
}

void PersonRoom::cancel(const std::string& job, std::string why, const std::string& caller, Tell tell)
{
    for (const protocol::AttemptId& id : parts_.seen.open()) {
        if (id.job != job) continue;
        parts_.to_runs(command::Cancel{id, "user " + by(caller), why.empty() ? "cancelled at its desktop" : std::move(why)});
        parts_.seen.cancelling(job);
        return tell({200, Json::object({})});
    }
    if (const auto known = parts_.seen.job(job)) return tell(told_no(409, "over", fmt::format("it is over: {}", (*known)["state"].as_string())));
    for (const Factory& each : factories_) {
        const Json view = each.person->view();
        for (const Json& row : view["jobs"].as_array())
            if (row["job"].as_string() == job) return each.person->cancel(job, std::move(why), std::move(tell));
    }
    tell(told_no(404, "unknown", "no such job runs here or was started from here"));
}

std::vector<std::string> PersonRoom::stop(const std::string& way, const std::string& caller)
{
    const std::string who = by(caller);
    const WallTime now = parts_.clock.now();
    const Pause hold{who, fmt::format("stopped at the desktop ({})", way), now, now + kHold};
    const auto before = parts_.paused();
    const bool held_longer = before && (!before->until || *before->until > *hold.until);
    if (!held_longer) parts_.hold(hold);
    std::vector<std::string> out;
    for (const protocol::AttemptId& id : parts_.seen.open()) {
        parts_.to_runs(command::Cancel{id, "user " + who, hold.why});
        out.push_back(id.job);
    }
    for (const std::string& job : out) parts_.seen.cancelling(job);
    for (const Factory& each : factories_) each.person->postpone(who);
    log::warning("person", "{} by {}: {} jobs end, none begins for {}", hold.why, who, out.size(), format_duration(kHold));
    if (!held_longer)
        if (auto kept = parts_.pause(hold); !kept) log::warning("person", "a restart of the agent would forget that: {}", kept.error().what);
    parts_.changes.bump();
    return out;
}

Status PersonRoom::pause(std::optional<WallTime> until, const std::string& caller)
{
    auto done = parts_.pause(Pause{by(caller), "at the desktop", parts_.clock.now(), until});
    if (done) parts_.changes.bump();
    return done;
}

Status PersonRoom::resume()
{
    auto done = parts_.pause(std::nullopt);
    if (done) parts_.changes.bump();
    return done;
}

void PersonRoom::set_face(std::int64_t process, Json face, const platform::DesktopPlace& place)
{
    {
        const std::scoped_lock lock(mutex_);
        std::erase_if(faces_, [&](const auto& each) { return each.first != process && (each.second["kind"] == face["kind"] || !platform::process_is_there(each.first)); });
        if (faces_.size() >= kMostFaces && !faces_.contains(process)) faces_.erase(faces_.begin());
        faces_[process] = std::move(face);
    }
    if (parts_.desktop && !place.display.empty()) parts_.desktop(place);
    parts_.changes.bump();
}

void PersonRoom::tell(Json tell)
{
    {
        const std::scoped_lock lock(mutex_);
        const std::string id = tell["id"].as_string();
        if (dismissed_.contains(id)) return;
        if (tells_.size() >= kMostTells) tells_.erase(tells_.begin());   // ids sort by time
        tells_[id] = std::move(tell);
    }
    parts_.changes.bump();
}

bool PersonRoom::dismiss(const std::string& id)
{
    {
        const std::scoped_lock lock(mutex_);
        if (tells_.erase(id) == 0 && !dismissed_.contains(id)) return false;
        dismissed_.insert(id);
        if (dismissed_.size() > 1000) dismissed_.erase(dismissed_.begin());
    }
    parts_.changes.bump();
    return true;
}

void PersonRoom::set_session(const platform::DesktopSession& session)
{
    Json unknown = Json::array();
    for (const std::string& each : session.unknown) unknown.push(Json(each));
    Json next = Json::object({{"state", std::string(platform::name(session.state))}, {"user", session.user}, {"since", format_time(parts_.clock.now())}, {"display", session.display}, {"unknown", std::move(unknown)}});
    {
        const std::scoped_lock lock(mutex_);
        if (session_["state"] == next["state"] && !session_["since"].is_null()) next.set("since", session_["since"]);
        if (session_ == next) return;
        session_ = std::move(next);
    }
    parts_.changes.bump();
}

Json PersonRoom::faces_locked() const
{
    Json out = Json::array();
    for (const auto& [process, face] : faces_)
        if (platform::process_is_there(process)) out.push(face);
    return out;
}

Json PersonRoom::stop_key_locked() const
{
    for (const auto& [process, face] : faces_)
        if (const std::string& key = face["stopKey"].as_string(); !key.empty() && platform::process_is_there(process)) return Json::object({{"key", key}});
    return {};
}

Json PersonRoom::facts() const
{
    const std::scoped_lock lock(mutex_);
    Json kinds = Json::array();
    for (const auto& [process, face] : faces_)
        if (platform::process_is_there(process)) kinds.push(face["kind"]);
    return Json::object({{"session", session_}, {"faces", std::move(kinds)}});
}

Json PersonRoom::session() const
{
    const std::scoped_lock lock(mutex_);
    return session_;
}

Json PersonRoom::about() const
{
    std::int64_t consents = 0, questions = 0, queued = 0;
    for (const Factory& each : factories_) {
        const Json view = each.person->view();
        consents += static_cast<std::int64_t>(each.person->consents().list().size());
        questions += static_cast<std::int64_t>(view["questions"].size());
        queued += static_cast<std::int64_t>(each.person->launches().waiting().size());
    }
    const std::string name = user();
    const std::scoped_lock lock(mutex_);
    return Json::object({{"user", name}, {"session", session_}, {"faces", faces_locked()}, {"consents", consents}, {"questions", questions}, {"queued", queued}});
}

}  // namespace mill::agent
