#include "agent/person/launches.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::agent {
namespace {

Json launch_json(const Launch& launch)
{
    return Json::object({{"id", launch.id}, {"trigger", launch.trigger}, {"title", launch.title}, {"input", launch.input}, {"asked", format_time(launch.asked)}, {"user", launch.user}});
}

Launch launch_of(const Json& json)
{
    return {json["id"].as_string(), json["trigger"].as_string(), json["title"].as_string(), json["input"], parse_time(json["asked"].as_string()).value_or(WallTime{}), json["user"].as_string()};
}

}  // namespace

Launches::Launches(std::string path, const Clock& clock) : path_(std::move(path)), clock_(clock) { load(); }

Status Launches::add(Launch launch)
{
    const std::scoped_lock lock(mutex_);
    if (std::any_of(waiting_.begin(), waiting_.end(), [&](const Launch& each) { return each.id == launch.id; })) return {};
    if (waiting_.size() >= kMost) return fail(Errc::conflict, fmt::format("{} starts wait for the factory already", kMost));
    waiting_.push_back(std::move(launch));
    auto saved = save_locked();
    if (!saved) waiting_.pop_back();
    return saved;
}

std::optional<Launch> Launches::front(const std::string& user)
{
    const std::scoped_lock lock(mutex_);
    while (!waiting_.empty()) {
        const Launch& next = waiting_.front();
        if (next.asked + kLife <= clock_.now()) give_up_locked(fmt::format("the factory was away for more than {}", format_duration(kLife)));
        else if (!next.user.empty() && next.user != user) give_up_locked(fmt::format("{} started it, and this is {} agent now", next.user, user.empty() ? "nobody's" : user + "'s"));
        else return next;
    }
    return std::nullopt;
}

void Launches::expect(const Launch& launch)
{
    const std::scoped_lock lock(mutex_);
    if (std::any_of(expected_.begin(), expected_.end(), [&](const Expected& each) { return each.id == launch.id; })) return;
    expected_.push_back({launch.id, launch.trigger, "", ""});
    if (expected_.size() > kRemembered) expected_.pop_front();
    // Lost with the power the person is asked whether it may run: nothing begins unasked.
    if (auto saved = save_locked(); !saved) log::warning("person", "{}", saved.error().what);
}

void Launches::forget(const std::string& id)
{
    const std::scoped_lock lock(mutex_);
    if (std::erase_if(expected_, [&](const Expected& each) { return each.id == id; }) == 0) return;
    if (auto saved = save_locked(); !saved) log::warning("person", "{}", saved.error().what);
}

bool Launches::is_own(const std::string& launch, const std::string& trigger, const std::string& job, const std::string& mark)
{
    const std::scoped_lock lock(mutex_);
    auto found = std::find_if(expected_.begin(), expected_.end(), [&](const Expected& each) { return launch.empty() ? each.job == job : each.id == launch; });
    if (launch.empty() && found == expected_.end())
        found = std::find_if(expected_.begin(), expected_.end(), [&](const Expected& each) { return each.job.empty() && each.trigger == trigger; });
    if (found == expected_.end() || found->trigger != trigger || (!found->job.empty() && found->job != job)) return false;
    if (!found->mark.empty()) return found->mark == mark;
    found->job = job;
    found->mark = mark;
    if (auto saved = save_locked(); !saved) log::warning("person", "{}", saved.error().what);
    return true;
}

void Launches::give_up_locked(const std::string& why)
{
    failed_.push_front({std::move(waiting_.front()), why, clock_.now()});
    waiting_.pop_front();
    if (failed_.size() > kShown) failed_.pop_back();
    if (auto saved = save_locked(); !saved) log::warning("person", "{}", saved.error().what);
}

void Launches::handed_over(const std::string& id, const std::string& job)
{
    const std::scoped_lock lock(mutex_);
    std::erase_if(waiting_, [&](const Launch& each) { return each.id == id; });
    mine_locked(id, job);
    // Lost with the power it is handed over once more, under the same id.
    if (auto saved = save_locked(); !saved) log::warning("person", "{}", saved.error().what);
}

void Launches::refused(const std::string& id, const std::string& why)
{
    const std::scoped_lock lock(mutex_);
    std::erase_if(expected_, [&](const Expected& each) { return each.id == id; });
    if (!waiting_.empty() && waiting_.front().id == id) give_up_locked(why);
}

void Launches::mine_locked(const std::string& id, const std::string& job)
{
    for (Expected& each : expected_)
        if (each.id == id && each.job != job) each = {id, each.trigger, job, ""};
    if (std::find(mine_.begin(), mine_.end(), job) != mine_.end()) return;
    mine_.push_back(job);
    if (mine_.size() > kRemembered) mine_.pop_front();
}

void Launches::has(const std::string& id, const std::string& job)
{
    const std::scoped_lock lock(mutex_);
    mine_locked(id, job);
    if (auto saved = save_locked(); !saved) log::warning("person", "{}", saved.error().what);
}

bool Launches::is_said(const std::string& id) const
{
    const std::scoped_lock lock(mutex_);
    return std::any_of(expected_.begin(), expected_.end(), [&](const Expected& each) { return each.id == id && each.job.empty(); }) ||
           std::any_of(waiting_.begin(), waiting_.end(), [&](const Launch& each) { return each.id == id; });
}

std::string Launches::job_of(const std::string& id) const
{
    const std::scoped_lock lock(mutex_);
    const auto found = std::find_if(expected_.begin(), expected_.end(), [&](const Expected& each) { return each.id == id; });
    return found == expected_.end() ? std::string() : found->job;
}

void Launches::lost(const std::string& job, const std::string& title, const std::string& why)
{
    const std::scoped_lock lock(mutex_);
    const auto found = std::find_if(expected_.begin(), expected_.end(), [&](const Expected& each) { return each.job == job; });
    if (found == expected_.end()) return log::warning("person", "job {}: {}", job, why);
    failed_.push_front({Launch{found->id, found->trigger, title.empty() ? found->trigger : title, Json(), clock_.now()}, why, clock_.now()});
    if (failed_.size() > kShown) failed_.pop_back();
    expected_.erase(found);
    if (auto saved = save_locked(); !saved) log::warning("person", "{}", saved.error().what);
}

bool Launches::is_mine(const std::string& job) const
{
    const std::scoped_lock lock(mutex_);
    return std::find(mine_.begin(), mine_.end(), job) != mine_.end();
}

bool Launches::empty() const
{
    const std::scoped_lock lock(mutex_);
    return waiting_.empty();
}

Json Launches::waiting() const
{
    const std::scoped_lock lock(mutex_);
    Json out = Json::array();
    for (const Launch& each : waiting_) out.push(Json::object({{"id", each.id}, {"trigger", each.trigger}, {"title", each.title}, {"asked", format_time(each.asked)}}));
    return out;
}

Json Launches::failed() const
{
    const std::scoped_lock lock(mutex_);
    Json out = Json::array();
    for (const Failed& each : failed_)
        out.push(Json::object({{"id", each.launch.id}, {"job", Json()}, {"trigger", each.launch.trigger}, {"title", each.launch.title}, {"state", "refused"}, {"reason", each.why},
                               {"started", Json()}, {"ended", format_time(each.at)}, {"text", ""}, {"output", Json()}, {"error", Json()}, {"files", Json::array()}}));
    return out;
}

Status Launches::save_locked() const
{
    Json waiting = Json::array(), mine = Json::array(), expected = Json::array(), failed = Json::array();
    for (const Launch& each : waiting_) waiting.push(launch_json(each));
    for (const std::string& job : mine_) mine.push(Json(job));
    for (const Expected& each : expected_) expected.push(Json::object({{"id", each.id}, {"trigger", each.trigger}, {"job", each.job}, {"mark", each.mark}}));
    for (const Failed& each : failed_) {
        Json row = launch_json(each.launch);
        row.erase("input");   // nobody needs it any more, and it may be private
        failed.push(row.set("why", each.why).set("at", format_time(each.at)));
    }
    return platform::write_file(path_, dump_json(Json::object({{"waiting", std::move(waiting)}, {"mine", std::move(mine)}, {"expected", std::move(expected)}, {"failed", std::move(failed)}})) + "\n", 0600);
}

void Launches::load()
{
    auto text = platform::read_file(path_, 16 * 1024 * 1024);
    if (!text && text.error().code == Errc::not_found) return;
    auto json = text ? parse_json(*text) : Result<Json>(fail(text.error()));
    if (!json) return log::error("person", "{}: {}; starts that waited there are lost", path_, json.error().what);
    for (const Json& item : (*json)["waiting"].as_array())
        if (Launch launch = launch_of(item); !launch.id.empty()) waiting_.push_back(std::move(launch));
    for (const Json& job : (*json)["mine"].as_array()) mine_.push_back(job.as_string());
    for (const Json& item : (*json)["expected"].as_array()) expected_.push_back({item["id"].as_string(), item["trigger"].as_string(), item["job"].as_string(), item["mark"].as_string()});
    for (const Json& item : (*json)["failed"].as_array()) failed_.push_back({launch_of(item), item["why"].as_string(), parse_time(item["at"].as_string()).value_or(WallTime{})});
    mine_.erase(mine_.begin(), mine_.end() - static_cast<std::ptrdiff_t>(std::min(mine_.size(), kRemembered)));
    expected_.erase(expected_.begin(), expected_.end() - static_cast<std::ptrdiff_t>(std::min(expected_.size(), kRemembered)));
    failed_.resize(std::min(failed_.size(), kShown));
}

}  // namespace mill::agent
