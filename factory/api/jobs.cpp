#include <algorithm>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "platform/base/fields.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kReasonsInAList = 100;

/// Several answers from the writer thread, then one reply.
struct Gather {
    std::mutex mutex;
    Json items;
    std::size_t left = 0;
};

void unknown_job(const Call& call)
{
    reply_problem(call, 404, fmt::format("job '{}' is not there", call["uid"].substr(0, 80)), "unknown_job");
}

}  // namespace

void list_jobs(Service& service, const CallPtr& call)
{
    JobQuery query;
    const HttpCall& http = call->http;
    if (const auto state = http.query_value("state"); !state.empty()) {
        query.state = protocol::parse_state(state);
        if (!query.state)
            return reply_problem(*call, 400, fmt::format("query 'state' must be one of ready, assigned, running, waiting, successful, failed, cancelled, expired; found '{}'", state));
    }
    query.trigger = http.query_value("trigger");
    query.environment = http.query_value("environment");
    query.deployment = http.query_value("deployment");
    query.agent = http.query_value("agent");
    query.cursor = http.query_value("cursor");
    if (const auto since = http.query_value("since"); !since.empty()) {
        if (auto time = parse_time(since)) query.since = *time;
        else if (auto duration = parse_duration(since)) query.since = service.clock.now() - *duration;
        else return reply_problem(*call, 400, fmt::format("query 'since' must be an RFC 3339 time or a duration such as 2h; found '{}'", since));
    }
    auto limit = limit_of(*call);
    if (!passed(*call, limit)) return;
    query.limit = *limit;
    auto page = service.core.reader()->jobs(query);
    if (!passed(*call, page)) return;

    auto gather = std::make_shared<Gather>();
    gather->items = Json::array();
    std::vector<std::size_t> waiting;   // the reason belongs into the row, not behind a click
    for (const JobRecord& job : page->items) {
        gather->items.push(job_json(job, false));
        if (job.state == protocol::JobState::ready && waiting.size() < kReasonsInAList) waiting.push_back(gather->items.size() - 1);
    }
    const auto finish = [call, gather, next = page->next] {
        Json out = Json::object({{"items", gather->items}});
        set_text(out, "next", next);
        reply(*call, 200, out);
    };
    if (waiting.empty()) return finish();
    gather->left = waiting.size();
    for (const std::size_t index : waiting)
        service.core.why(page->items[index].uid, [gather, index, finish](const Result<Why>& why) {
            bool last = false;
            {
                const std::scoped_lock lock(gather->mutex);
                if (why) gather->items.mutable_array()[index].set("waitingFor", Json(why->summary));
                last = --gather->left == 0;
            }
            if (last) finish();
        });
}

void get_job(Service& service, const CallPtr& call)
{
    const bool by_starter = call->identity.role < Role::viewer;   // a trigger's token or an environment's key: only what it started
    auto job = service.core.reader()->job((*call)["uid"]);
    if (!job && job.error().code == Errc::not_found) return unknown_job(*call);
    if (!passed(*call, job)) return;
    if (by_starter && job->requested_by != call->who().name)
        return reply_problem(*call, 403, fmt::format("this token reads only jobs that it started; this one was started by {}", job->requested_by.empty() ? "somebody else" : "another"), "forbidden");
    Json out = job_json(*job, true);
    if (by_starter) {
        out.erase("input");
        out.erase("evidence");
    }
    if (job->state != protocol::JobState::ready) return reply(*call, 200, out);
    service.core.why(job->uid, [call, out](const Result<Why>& why) {
        Json whole = out;
        if (why) whole.set("waitingFor", Json(why->summary));
        reply(*call, 200, whole);
    });
}

void timeline(Service& service, const CallPtr& call)
{
    const auto reader = service.core.reader();
    auto job = reader->job((*call)["uid"]);
    if (!job && job.error().code == Errc::not_found) return unknown_job(*call);
    if (!passed(*call, job)) return;
    auto rows = reader->timeline(job->uid);
    if (passed(*call, rows)) reply(*call, 200, timeline_json(*job, *rows));
}

void why(Service& service, const CallPtr& call)
{
    service.core.why((*call)["uid"], [call](const Result<Why>& found) {
        if (!found && found.error().code == Errc::not_found) return unknown_job(*call);
        if (passed(*call, found)) reply(*call, 200, why_json(*found));
    });
}

void why_all(Service& service, const CallPtr& call)
{
    JobQuery query;
    query.state = protocol::JobState::ready;
    query.limit = 1000;
    const auto reader = service.core.reader();
    auto page = reader->jobs(query);
    if (!passed(*call, page)) return;
    const auto totals = reader->totals();
    const std::uint64_t all = totals ? totals->ready : page->items.size();
    if (page->items.empty()) return reply(*call, 200, Json::object({{"text", "no job waits"}, {"items", Json::array()}}));
    auto gather = std::make_shared<Gather>();
    gather->items = Json::array();
    const std::size_t asked = std::min(page->items.size(), kReasonsInAList);
    gather->left = asked;
    // The oldest wait longest: they are last in the page.
    for (std::size_t i = page->items.size() - asked; i < page->items.size(); ++i) {
        Json item = Json::object({{"job", Json(page->items[i].uid)}, {"trigger", Json(page->items[i].trigger)}, {"since", Json(format_time(page->items[i].created))}});
        service.core.why(page->items[i].uid, [call, gather, item, all](const Result<Why>& found) {
            Json row = item;
            row.set("text", Json(found ? found->summary : found.error().what));
            bool last = false;
            {
                const std::scoped_lock lock(gather->mutex);
                gather->items.push(std::move(row));
                last = --gather->left == 0;
            }
            if (!last) return;
            std::vector<std::pair<std::string, int>> groups;
            for (const Json& each : gather->items.as_array()) {
                const auto known = std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return group.first == each["text"].as_string(); });
                if (known != groups.end()) ++known->second;
                else groups.emplace_back(each["text"].as_string(), 1);
            }
            std::string text = fmt::format("{} {}", all, all == 1 ? "job waits" : "jobs wait");
            const char* separator = ": ";
            for (const auto& [reason, count] : groups) {
                text += fmt::format("{}{} for: {}", separator, count, reason);
                separator = "; ";
            }
            reply(*call, 200, Json::object({{"text", Json(text)}, {"items", gather->items}}));
        });
    }
}

void cancel(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "cancel");
    const std::string why = fields.text("why", "");
    if (why.size() > 1000) fields.mistake("why", "is longer than 1000 bytes");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    service.core.cancel((*call)["uid"], why, call->who(), [call](const Result<JobRecord>& job) {
        if (!job && job.error().code == Errc::not_found) return unknown_job(*call);
        if (passed(*call, job)) reply(*call, protocol::is_final(job->state) ? 200 : 202, job_json(*job, false));
    });
}

void retry(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "retry");
    const bool same_version = fields.boolean("sameVersion", false);
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    service.core.retry((*call)["uid"], same_version, call->who(), [call, &service](const Result<Accepted>& accepted) {
        if (!accepted && accepted.error().code == Errc::not_found) return unknown_job(*call);
        if (!passed(*call, accepted)) return;
        const JobRecord& job = accepted->job;
        reply(*call, 202, Json::object({{"jobUid", Json(job.uid)}, {"statusUrl", Json(service.status_url(call->http, job.uid))}, {"state", Json(protocol::name(job.state))},
                                        {"waitingFor", accepted->waiting_for.empty() ? Json() : Json(accepted->waiting_for)}, {"retryOf", Json(job.retry_of)}}));
    });
}

}  // namespace mill::factory::handler
