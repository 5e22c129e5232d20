#include <algorithm>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "protocol/secret_fields.h"
#include "platform/base/fields.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kTriggersExplained = 50;
constexpr std::size_t kJobsListed = 100;
constexpr std::size_t kApprovalsRead = 5000;

/// Trigger → what its ready jobs wait for: jobs of one trigger wait for the same.
using Explanations = std::map<std::string, std::string, std::less<>>;

/// Jobs that nobody approved yet, with what they wait for: it is not what others of their trigger wait for.
Explanations waiting_approvals(Reader& reader)
{
    QuestionQuery query;
    query.state = QuestionState::open;
    query.limit = kApprovalsRead;
    Explanations out;
    if (const auto open = reader.questions(query))
        for (const QuestionRecord& each : open->items)
            if (each.attempt == 0) out.emplace(each.job, fmt::format("waits for the approval of {}", who_words(each.by)));
    return out;
}

/// Several answers from the writer thread, then one call of `done`.
void explain(Service& service, const std::vector<JobRecord>& jobs, const Explanations& approvals, std::function<void(const Explanations&)> done)
{
    struct Gather {
        std::mutex mutex;
        Explanations found;
        std::size_t left = 0;
        std::function<void(const Explanations&)> done;
    };
    std::map<std::string, std::string> asked;   // trigger → one of its jobs
    for (const JobRecord& job : jobs)
        if (job.state == protocol::JobState::ready && !approvals.contains(job.uid) && asked.size() < kTriggersExplained) asked.try_emplace(job.trigger, job.uid);
    if (asked.empty()) return done({});
    auto gather = std::make_shared<Gather>();
    gather->left = asked.size();
    gather->done = std::move(done);
    for (const auto& [trigger, job] : asked)
        service.core.why(job, [gather, name = trigger](const Result<Why>& why) {
            const std::scoped_lock lock(gather->mutex);
            if (why && why->state == protocol::JobState::ready) gather->found[name] = waiting_text(*why);
            if (--gather->left == 0) gather->done(gather->found);
        });
}

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
    query.within = visible(call->identity);
    auto page = service.core.reader()->jobs(query);
    if (!passed(*call, page)) return;

    Json items = Json::array();
    for (const JobRecord& job : page->items) items.push(job_json(job, false));
    // The reason belongs into the row, not behind a click.
    const bool ready = std::any_of(page->items.begin(), page->items.end(), [](const JobRecord& job) { return job.state == protocol::JobState::ready; });
    const Explanations approvals = ready ? waiting_approvals(*service.core.reader()) : Explanations();
    explain(service, page->items, approvals, [call, items, approvals, next = page->next](const Explanations& why) {
        Json rows = Json::array();
        for (const Json& item : items.as_array()) {
            Json row = item;
            if (item["state"].as_string() == "ready") {
                if (const auto approval = approvals.find(item["uid"].as_string()); approval != approvals.end()) row.set("waitingFor", Json(approval->second));
                else if (const auto found = why.find(item["trigger"].as_string()); found != why.end()) row.set("waitingFor", Json(found->second));
            }
            rows.push(std::move(row));
        }
        Json out = Json::object({{"items", std::move(rows)}});
        set_text(out, "next", next);
        reply(*call, 200, out);
    });
}

void get_job(Service& service, const CallPtr& call)
{
    const bool by_starter = call->identity.role < Role::viewer;   // a trigger's token or an environment's key: only what it started
    auto job = service.core.reader()->job((*call)["uid"]);
    if (!job && job.error().code == Errc::not_found) return unknown_job(*call);
    if (!passed(*call, job)) return;
    if (by_starter && job->requested_by != call->who().name)
        return reply_problem(*call, 403, "this token reads only the jobs that it started; this is none of them", "forbidden");
    if (!by_starter && !permitted(service, *call, Role::viewer, place_of_job(*job), fmt::format("reading job '{}'", job->uid))) return;
    const auto schemas = service.core.reader()->package_inputs(job->package_digest);
    if (schemas) job->input = protocol::without_secrets((*schemas)[job->workflow], job->input);
    else if (schemas.error().code != Errc::not_found) job->input = Json("…");   // nobody can say what in it is a secret
    Json out = job_json(*job, true);
    if (by_starter) {
        out.erase("input");
        out.erase("evidence");
    }
    if (job->state != protocol::JobState::ready) return reply(*call, 200, out);
    service.core.why(job->uid, [call, out](const Result<Why>& why) {
        Json whole = out;
        if (why) whole.set("waitingFor", Json(waiting_text(*why)));
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

void why_trigger(Service& service, const CallPtr& call)
{
    service.core.why_trigger((*call)["name"], [call](const Result<Why>& found) {
        if (passed(*call, found)) reply(*call, 200, why_json(*found));
    });
}

void why_environment(Service& service, const CallPtr& call)
{
    service.core.why_environment((*call)["name"], [call](const Result<Why>& found) {
        if (passed(*call, found)) reply(*call, 200, why_json(*found));
    });
}

void release_environment(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "release");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    service.core.release((*call)["name"], call->who(), [call](const Result<Nothing>& done) {
        if (passed(*call, done)) reply_empty(*call);
    });
}

void list_holds(Service& service, const CallPtr& call)
{
    service.core.holds([call](Result<std::vector<Hold>> holds) {
        if (!passed(*call, holds)) return;
        std::erase_if(*holds, [&](const Hold& hold) { return !sees_environment(*call, hold.environment); });
        const auto names = [](const std::vector<std::string>& list) {
            Json out = Json::array();
            for (const std::string& name : list) out.push(Json(name));
            return out;
        };
        Json items = Json::array();
        for (const Hold& hold : *holds)
            items.push(Json::object({{"environment", hold.environment}, {"agents", names(hold.agents)}, {"unable", names(hold.unable)}, {"since", format_time(hold.since)},
                                     {"knownTo", format_time(hold.known_to)}, {"why", hold.why}, {"command", hold.command}}));
        reply(*call, 200, Json::object({{"items", std::move(items)}}));
    });
}

/// Nothing waits, and perhaps nothing could start: a store that was restored waits for its agents.
void reply_none_waits(Service& service, const CallPtr& call)
{
    service.core.holds([call](const Result<std::vector<Hold>>& holds) {
        if (!passed(*call, holds)) return;
        std::string text = "no job waits";
        for (const Hold& hold : *holds)
            if (sees_environment(*call, hold.environment)) text += fmt::format("; {} (`{}` stops waiting)", hold.why, hold.command);
        reply(*call, 200, Json::object({{"text", text}, {"groups", Json::array()}, {"items", Json::array()}}));
    });
}

void why_all(Service& service, const CallPtr& call)
{
    const auto reader = service.core.reader();
    auto waiting = reader->waiting();
    if (!passed(*call, waiting)) return;
    if (!call->identity.everywhere())
        std::erase_if(*waiting, [&](const WaitingCount& each) {
            const auto job = reader->job(each.oldest);
            return !job || !sees_environment(*call, job->environment);
        });
    Explanations approvals = waiting_approvals(*reader);
    if (!call->identity.everywhere())
        std::erase_if(approvals, [&](const auto& each) {
            const auto job = reader->job(each.first);
            return !job || !sees_environment(*call, job->environment);
        });
    if (waiting->empty() && approvals.empty()) return reply_none_waits(service, call);
    JobQuery query;
    query.state = protocol::JobState::ready;
    query.limit = kJobsListed;
    query.oldest_first = true;
    query.within = visible(call->identity);
    auto oldest = reader->jobs(query);
    if (!passed(*call, oldest)) return;
    // One job of each trigger is asked about; what it waits for, the others of the trigger wait for, too.
    std::vector<JobRecord> asked;
    for (const WaitingCount& each : *waiting) {
        JobRecord job;
        job.uid = each.oldest;
        job.trigger = each.trigger;
        asked.push_back(std::move(job));
    }
    explain(service, asked, {}, [call, waiting = *waiting, approvals, jobs = oldest->items](const Explanations& why) {
        Json items = Json::array(), groups = Json::array();
        std::map<std::string, std::uint64_t> counts;
        const auto text_of = [&](const std::string& trigger) {
            const auto found = why.find(trigger);
            return found == why.end() ? std::string("not looked into") : found->second;
        };
        std::uint64_t all = approvals.size();
        for (const auto& [job, text] : approvals) ++counts[text];
        for (const WaitingCount& each : waiting) {
            counts[text_of(each.trigger)] += each.jobs;
            all += each.jobs;
        }
        for (const JobRecord& job : jobs) {
            const auto approval = approvals.find(job.uid);
            items.push(Json::object({{"job", Json(job.uid)}, {"trigger", Json(job.trigger)}, {"since", Json(format_time(job.created))},
                                     {"text", Json(approval != approvals.end() ? approval->second : text_of(job.trigger))}}));
        }
        std::string text = fmt::format("{} {}", all, all == 1 ? "job waits" : "jobs wait");
        const char* separator = ": ";
        for (const auto& [reason, count] : counts) {
            text += fmt::format("{}{} {}", separator, count, reason);
            separator = "; ";
            groups.push(Json::object({{"count", Json(count)}, {"text", Json(reason)}}));
        }
        reply(*call, 200, Json::object({{"text", Json(text)}, {"groups", std::move(groups)}, {"items", std::move(items)}}));
    });
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
