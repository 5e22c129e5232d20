// The factory's side of an agent's user: what that person may start and is asked, and what they do there. The agent's token says which agent it is, the
// agent's record whose; nothing in a body does.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "factory/api/approvers.h"
#include "factory/api/handlers.h"
#include "factory/api/question_checks.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "factory/api/start_run.h"
#include "platform/base/fields.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kJobs = 20, kQuestions = 200, kQuestionsLookedAt = 2'000, kShown = 16 * 1024, kLongestWhy = 500, kLongestComment = 1000;

/// Whose agent calls. Nothing when the caller was told.
std::optional<AgentRecord> agent_of_person(Service& service, const Call& call)
{
    auto agent = service.core.reader()->agent(call.agent);
    if (!passed(call, agent)) return std::nullopt;
    if (!agent->user.empty()) return std::move(*agent);
    reply_problem(call, 403, fmt::format("agent '{0}' is nobody's: an administrator says whose it is (`millwright agents set {0} --user NAME`)", agent->name), "no_user");
    return std::nullopt;
}

bool names_any(const Json& list, const std::vector<std::string>& names)
{
    return std::any_of(list.as_array().begin(), list.as_array().end(), [&](const Json& one) { return std::find(names.begin(), names.end(), one.as_string()) != names.end(); });
}

/// What one look at the store is made of; names and documents are read once.
struct Look {
    Reader& reader;
    const AgentRecord& agent;
    WallTime now;
    std::map<std::string, std::vector<std::string>> names_in;   // by environment
    std::map<std::string, std::string> titles;                  // by trigger

    const std::vector<std::string>& names(const std::string& environment)
    {
        auto& known = names_in[environment];
        if (known.empty()) known = names_of_user(reader, agent, environment, now);
        return known;
    }
    std::string words(const Json& trigger, const Json& manifest, const char* member)
    {
        return trigger[member].is_string() ? trigger[member].as_string() : manifest[member].as_string();
    }
    std::string title(const std::string& trigger)
    {
        auto& known = titles[trigger];
        if (!known.empty()) return known;
        known = trigger;
        const auto document = reader.document("Trigger", trigger);
        if (!document) return known;
        const auto deployment = reader.document("Deployment", document->spec["deployment"].as_string());
        const auto package = deployment ? package_of(*deployment) : std::nullopt;
        if (std::string text = words(document->spec, package ? package->manifest : Json(), "title"); !text.empty()) known = std::move(text);
        return known;
    }
    std::optional<PackageRecord> package_of(const Document& deployment)
    {
        const std::string& named = deployment.spec["package"].as_string();
        auto package = reader.package(named.substr(0, named.find('@')), named.substr(named.find('@') + 1));
        return package ? std::optional(std::move(*package)) : std::nullopt;
    }
    bool may_start(const Document& trigger, const std::string& environment)
    {
        if (trigger.spec["type"].as_string() != "attended" || !names_any(trigger.spec["assignedTo"], names(environment))) return false;
        const Identity person{.kind = "user", .id = {}, .subject = agent.user};
        return !missing_in_private(reader, person, environment);
    }
};

/// An output or an error, when it is short enough to be shown.
Json capped(const Json& value)
{
    const std::string text = dump_json(value);
    if (text.size() <= kShown) return value;
    return Json::object({{"cut", fmt::format("it has {} bytes, more than are shown here; `millwright show` has all of it", text.size())}});
}

std::string text_of(const JobRecord& job)
{
    std::string out = job.error["title"].as_string();
    if (const std::string& detail = job.error["detail"].as_string(); !detail.empty() && detail != out) out += (out.empty() ? "" : ": ") + detail;
    if (const Json& by = job.evidence["by"]; out.empty() && by.is_string()) out = fmt::format("by {}", by.as_string());
    if (const Json& why = job.evidence["why"]; why.is_string() && !why.as_string().empty()) out += (out.empty() ? "" : ": ") + why.as_string();
    if (const Json& waited = job.evidence["waitedFor"]; out.empty() && waited.is_string()) out = waited.as_string();
    return out.substr(0, 1000);
}

Json job_entry(Look& look, const JobRecord& job)
{
    Json out = Json::object({{"job", job.uid}, {"trigger", job.trigger}, {"title", look.title(job.trigger)}, {"state", protocol::name(job.state)},
                             {"reason", job.reason ? Json(protocol::name(*job.reason)) : Json()}, {"text", text_of(job)}, {"for", job.requested_by}});
    set_time(out, "created", job.created);
    set_time(out, "started", job.started);
    set_time(out, "ended", job.ended);
    return out.set("output", capped(job.output)).set("error", capped(job.error));
}

Json jobs_of(Look& look)
{
    Json out = Json::array();
    const auto uids = look.reader.person_jobs(look.agent.id, look.agent.user, kJobs);
    if (!uids) return out;
    for (const std::string& uid : *uids)
        if (const auto job = look.reader.job(uid); job) out.push(job_entry(look, *job));
    return out;
}

Json launchable(Look& look, const Json& jobs)
{
    Json out = Json::array();
    const auto triggers = look.reader.documents("Trigger");
    if (!triggers) return out;
    for (const Document& trigger : *triggers) {
        if (trigger.spec["type"].as_string() != "attended") continue;
        const auto deployment = look.reader.document("Deployment", trigger.spec["deployment"].as_string());
        if (!deployment) continue;
        const std::string& environment = deployment->spec["environment"].as_string();
        if (!look.may_start(trigger, environment)) continue;
        const auto package = look.package_of(*deployment);
        if (!package) continue;
        const std::string workflow = trigger.spec["workflow"].is_string() ? trigger.spec["workflow"].as_string() : "main";
        std::string paused;
        if (trigger.spec["paused"].as_bool()) paused = trigger.spec["pausedWhy"].is_string() ? trigger.spec["pausedWhy"].as_string() : "it is paused";
        else if (package->state == PackageState::decommissioned) paused = fmt::format("package '{}@{}' {}", package->name, package->version, state_words(*package));
        const auto inputs = look.reader.package_inputs(package->digest);
        Json permissions = Json::object();
        for (const Json* given : {&package->manifest["permissions"], &deployment->spec["permissions"], &deployment->spec["granted"]})
            if (given->is_object()) permissions = *given;
        Json last;
        for (const Json& job : jobs.as_array())
            if (last.is_null() && job["trigger"].as_string() == trigger.name) last = Json::object({{"job", job["job"]}, {"state", job["state"]}, {"reason", job["reason"]}, {"ended", job["ended"]}});
        std::string title = look.words(trigger.spec, package->manifest, "title");
        out.push(Json::object({{"trigger", trigger.name}, {"title", title.empty() ? trigger.name : title}, {"description", look.words(trigger.spec, package->manifest, "description")},
                               {"environment", environment}, {"deployment", deployment->name}, {"workflow", workflow},
                               {"package", Json::object({{"name", package->name}, {"version", package->version}, {"digest", package->digest}})},
                               {"schema", inputs ? (*inputs)[workflow] : Json()}, {"permissions", std::move(permissions)}, {"repeatable", package->manifest["repeatable"].as_bool()}, {"offline", package->manifest["offline"].as_bool()},
                               {"last", std::move(last)}, {"paused", paused}}));
    }
    return out;
}

/// Each that may be started while this factory is away, with `offer`: by what terms.
void add_offline_terms(Service& service, const Call& call, Look& look, Json& launchable)
{
    std::vector<std::string> triggers;
    for (const Json& item : launchable.as_array())
        if (item["offline"].as_bool() && item["paused"].as_string().empty()) triggers.push_back(item["trigger"].as_string());
    const auto terms = triggers.empty() ? Result<OfflineTerms>(OfflineTerms{})
                                        : await<OfflineTerms>([&](Done<OfflineTerms> done) { service.core.offline_terms(look.agent.id, triggers, std::move(done)); });
    if (!terms) log::error("api", "agent {} is not told what may be started there while this factory is away: {}", call.agent, terms.error().what);
    Json out = Json::array();
    for (Json item : launchable.as_array()) {
        item.erase("offline");
        if (terms)
            if (const auto found = terms->find(item["trigger"].as_string()); found != terms->end()) item.set("offer", found->second);
        out.push(std::move(item));
    }
    launchable = std::move(out);
}

/// What says that it runs, or ran, there already.
std::optional<Begun> begun_in(Fields& launch)
{
    const Json said = launch.object("begun");
    Fields fields(said, "launch: begun");
    fields.ignore_unknown();
    const auto id = protocol::parse_attempt_id(said);
    const auto asked = parse_time(fields.text("asked"));
    Begun out{id ? *id : protocol::AttemptId{}, fields.text("terms"), asked.value_or(WallTime{})};
    const auto done = fields.done();
    if (id && asked && done) return out;
    launch.mistake("begun", !id ? id.error().what : !done ? done.error().what : "asked: is no time");
    return std::nullopt;
}

/// Whether `by` names this person, or a role, which may be theirs in the job's environment.
bool could_answer(const QuestionRecord& question, const std::string& person)
{
    const auto& by = question.by.as_array();
    return !names_any(question.not_by, {person}) && std::any_of(by.begin(), by.end(), [&](const Json& one) { return one.as_string() == person || one.as_string().starts_with("role:"); });
}

/// Open ones that name this person, the newest first, as far as anybody could look at them.
Json questions_for(Look& look)
{
    Json out = Json::array();
    const std::string person = "user:" + look.agent.user;
    QuestionQuery query;
    query.state = QuestionState::open;
    query.limit = 500;
    for (std::size_t seen = 0; seen < kQuestionsLookedAt && out.size() < kQuestions;) {
        const auto page = look.reader.questions(query);
        if (!page) break;
        for (const QuestionRecord& one : page->items) {
            ++seen;
            if (!could_answer(one, person)) continue;   // before anything else is read
            const auto job = look.reader.job(one.job);
            if (!job || (one.kind == QuestionKind::approval && vouched_elsewhere(look.agent, job->environment)) || !names_any(one.by, look.names(job->environment))) continue;
            Json entry = Json::object({{"id", one.id}, {"kind", name(one.kind)}, {"text", one.text}, {"mark", "#" + question_mark(one)}, {"schema", one.schema}, {"job", one.job},
                                       {"trigger", one.trigger}, {"title", look.title(one.trigger)}, {"asked", format_time(one.created)}});
            entry.set("deadline", one.deadline ? Json(format_time(*one.deadline)) : Json());
            out.push(std::move(entry));
            if (out.size() >= kQuestions) break;
        }
        if (page->next.empty()) break;
        query.cursor = page->next;
    }
    return out;
}

}  // namespace

void agent_person(Service& service, const CallPtr& call)
{
    if (!read_json(*call, true) || !agent_of_person(service, *call)) return;
    // First the version, then what is read: what changes in between has a higher one.
    const auto version = await<std::uint64_t>([&](Done<std::uint64_t> done) { service.core.person(call->agent, std::move(done)); });
    if (!passed(*call, version)) return;
    const auto agent = agent_of_person(service, *call);
    if (!agent) return;
    const auto reader = service.core.reader();
    Look look{*reader, *agent, service.clock.now(), {}, {}};
    Json jobs = jobs_of(look);
    Json out = Json::object({{"user", agent->user}, {"version", *version}});
    Json starts = launchable(look, jobs);
    add_offline_terms(service, *call, look, starts);
    out.set("launchable", std::move(starts)).set("questions", questions_for(look)).set("jobs", std::move(jobs));
    reply(*call, 200, out);
}

void agent_launch(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "launch");
    fields.ignore_unknown();
    const std::string id = fields.text("id"), name = fields.text("trigger");
    if (id.empty() || id.size() > 100) fields.mistake("id", "must have 1 to 100 bytes: the same id is the same start");
    RunCall given;
    given.context = Json::object();
    given.input = fields.object("input", Json::object());
    std::optional<Begun> begun;
    if (json->contains("begun")) begun = begun_in(fields);
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const auto agent = agent_of_person(service, *call);
    if (!agent) return;
    const auto started = [call](const Accepted& accepted) { reply(*call, 202, Json::object({{"job", accepted.job.uid}, {"state", protocol::name(accepted.job.state)}})); };
    // Said again, because the answer was lost: the same job, whatever became of the trigger since. Without a trigger nothing else can come of it.
    RunRequest again;
    again.launch_agent = agent->id;
    again.launch = id;
    const auto before = await<Accepted>([&](Done<Accepted> done) { service.core.accept_run(again, {"user " + agent->user, call->http.remote}, std::move(done)); });
    if (before) return started(*before);
    if (before.error().code != Errc::not_found) return reply_error(*call, before.error());
    std::optional<Document> trigger;
    {
        const auto reader = service.core.reader();
        if (auto found = reader->document("Trigger", name)) trigger = std::move(*found);
        if (!trigger) return reply_problem(*call, 404, fmt::format("trigger '{}' is not there any more", name.substr(0, 120)), "unknown_trigger");
        Look look{*reader, *agent, service.clock.now(), {}, {}};
        if (!look.may_start(*trigger, environment_of_trigger(*reader, trigger->spec)))
            return reply_problem(*call, 403, fmt::format("trigger '{}' is not assigned to {}", trigger->name, agent->user), "not_assigned");
    }
    call->http.body = {};
    if (begun) {   // its input was put together there, and is as large as one that is sent may be
        again.trigger = name;
        again.input = std::move(given.input);
        again.begun = std::move(begun);
        return service.core.accept_run(again, {"user " + agent->user, call->http.remote}, [&service, call, started](const Result<Accepted>& accepted) {
            if (!passed(*call, accepted)) return;
            ++service.runs;
            started(*accepted);
        });
    }
    start_run(service, call, std::move(*trigger), {std::move(given), {}, {}, 0, started, StartRun::Launch{agent->id, id, agent->user}});
}

void agent_answer(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "answer");
    fields.ignore_unknown();
    QuestionAnswer answer{.question = fields.text("question"), .answer = fields.any("answer"), .comment = fields.text("comment", ""), .way = "desktop", .names = {},
                          .event_scope = {}, .event_key = {}, .event_sha256 = {}};
    if (answer.comment.size() > kLongestComment) fields.mistake("comment", fmt::format("is longer than {} bytes", kLongestComment));
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const auto agent = agent_of_person(service, *call);
    if (!agent) return;
    const auto reader = service.core.reader();
    const auto question = reader->question(answer.question);
    const auto job = question ? reader->job(question->job) : Result<JobRecord>(fail(Errc::not_found, ""));
    if (!question || !job) return reply_problem(*call, 404, fmt::format("question '{}' is not there any more", answer.question.substr(0, 80)), "unknown_question");
    answer.names = names_of_user(*reader, *agent, job->environment, service.clock.now());
    answer.agent = agent->name;
    if (question->kind == QuestionKind::approval && vouched_elsewhere(*agent, job->environment))
        return reply_problem(*call, 403, fmt::format("agent '{}' joined through a machine of environment '{}': approvals of environment '{}' are given with a token, or at an agent that an administrator gave to {}", agent->name,
                                                     agent->environment, job->environment, agent->user), "not_asked");
    if (!names_any(question->by, answer.names))   // before its answer is looked at: what it asks is nobody else's to know
        return reply_problem(*call, 403, fmt::format("{} may not answer question {}", agent->user, question->id), "not_asked");
    give_answer(service, call, *question, std::move(answer), {"user " + agent->user, call->http.remote}, true);
}

void agent_cancel(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "cancel");
    fields.ignore_unknown();
    const std::string uid = fields.text("job"), why = fields.text("why", "");
    if (why.size() > kLongestWhy) fields.mistake("why", fmt::format("is longer than {} bytes", kLongestWhy));
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const auto agent = agent_of_person(service, *call);
    if (!agent) return;
    const auto reader = service.core.reader();
    const auto job = reader->job(uid);
    const auto own = reader->is_person_job(agent->id, agent->user, uid);
    if (!job || (!own.value_or(false) && job->agent_id != agent->id))   // of others' jobs it is not said whether they exist
        return reply_problem(*call, 403, fmt::format("job '{}' was not started here and does not run here", uid.substr(0, 80)), "not_own_job");
    service.core.cancel(uid, why, {"user " + agent->user, call->http.remote}, [call, uid](const Result<JobRecord>& cancelled) {
        if (passed(*call, cancelled)) reply(*call, 200, Json::object({{"job", uid}, {"state", protocol::name(cancelled->state)}}));
    });
}

}  // namespace mill::factory::handler
