// What people are asked: opened, answered, over. Of many answers at once one is taken, in the transaction that makes it count.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "factory/core/sources.h"

namespace mill::factory::core {
namespace {

constexpr std::size_t kLongestQuestion = 4000, kLargestSchema = 64 * 1024, kMostNames = 100;

bool contains(const Json& names, const std::string& name)
{
    return std::any_of(names.as_array().begin(), names.as_array().end(), [&](const Json& one) { return one.as_string() == name; });
}

Json question_document(const QuestionRecord& question)
{
    if (question.kind == QuestionKind::tell) return Json::object({{"id", question.id}, {"kind", name(question.kind)}, {"text", question.text}, {"command", ""}});
    const bool yes_or_no = question.kind == QuestionKind::approval || question.schema["type"].as_string() == "boolean";
    return Json::object({{"id", question.id}, {"kind", name(question.kind)}, {"text", question.text}, {"mark", "#" + question_mark(question)}, {"by", who_words(question.by)},
                         {"schema", question.schema}, {"deadline", question.deadline ? Json(format_time(*question.deadline)) : Json()},
                         {"command", fmt::format("millwright questions answer {} {}", question.id, yes_or_no ? "--yes" : "--input FILE")}});
}

/// Who it is not, or too late. Empty: the answer counts.
std::optional<Answered> refusal(const QuestionRecord& question, const QuestionAnswer& answer, const Who& who, WallTime now)
{
    using Verdict = Answered::Verdict;
    const auto no = [&](Verdict verdict, std::string why) { return Answered{verdict, question, std::move(why)}; };
    if (question.state == QuestionState::answered)
        return no(Verdict::answered, fmt::format("{} was first: question {} was answered at {}", question.answered_by, question.id, format_time(*question.closed)));
    if (question.state == QuestionState::expired || (question.deadline && *question.deadline <= now))
        return no(Verdict::over, fmt::format("question {} could be answered until {}", question.id, format_time(question.deadline.value_or(now))));
    if (question.state == QuestionState::withdrawn) return no(Verdict::over, fmt::format("question {} is not asked any more: {}", question.id, question.why));
    const auto& names = answer.names;
    const bool asked_for_it = contains(question.not_by, who.name) || std::any_of(names.begin(), names.end(), [&](const std::string& name) { return contains(question.not_by, name); });
    if (asked_for_it) return no(Verdict::own, fmt::format("{} asked for job {}: somebody else has to answer ({})", who.name, question.job, who_words(question.by)));
    if (std::none_of(names.begin(), names.end(), [&](const std::string& name) { return contains(question.by, name); }))
        return no(Verdict::not_asked, fmt::format("{} may not answer question {}: {} may", who.name, question.id, who_words(question.by)));
    const bool in_chat = std::find(names.begin(), names.end(), "conversation") != names.end();
    if (in_chat && !question.not_by.empty() && std::none_of(names.begin(), names.end(), [](const std::string& name) { return name.starts_with("chat:"); }))
        return no(Verdict::own, "the chat platform does not say who answers, and it must not be whoever asked for the job");
    return std::nullopt;
}

Status check_asked(const AskRequest& request)
{
    if (request.text.empty() || request.text.size() > kLongestQuestion) return fail(Errc::invalid, fmt::format("the question's text must have 1 to {} bytes, it has {}", kLongestQuestion, request.text.size()));
    if (!request.schema.is_null() && !request.schema.is_object()) return fail(Errc::invalid, "the schema of its answer must be an object");
    if (dump_json(request.schema).size() > kLargestSchema) return fail(Errc::too_large, fmt::format("the schema of its answer has more than {} KiB", kLargestSchema / 1024));
    if (request.by.size() == 0 || request.by.size() > kMostNames) return fail(Errc::invalid, fmt::format("1 to {} may be named who may answer, it names {}", kMostNames, request.by.size()));
    if (request.within && request.within->count() <= 0) return fail(Errc::invalid, "the time to answer must be longer than nothing");
    return {};
}

}  // namespace

Json requesters(const std::string& requested_by, const Json& asked_by, const Json& context)
{
    Json out = Json::array();
    const auto add = [&](const std::string& name) {
        if (!contains(out, name)) out.push(Json(name));
        for (const std::string_view kind : {"user ", "admin "})   // the same person with a token of another kind
            if (name.starts_with(kind) && !contains(out, "user:" + name.substr(kind.size()))) out.push(Json("user:" + name.substr(kind.size())));
    };
    add(requested_by);
    for (const Json& name : asked_by.as_array()) add(name.as_string());
    // Whoever drops a file at their own agent asks for what it starts.
    if (const Json& user = context["event"]["user"]; user.is_string() && !user.as_string().empty()) add("user:" + user.as_string());
    if (const Json& user = context["user"]["id"]; user.is_string() && !user.as_string().empty() && context["platform"].is_string()) out.push(Json("chat:" + user.as_string()));
    return out;
}

std::string conversation_of(const std::string& trigger, const Json& context)
{
    const Json& id = context["conversationId"];
    return id.is_string() && !id.as_string().empty() && context["platform"].is_string() ? fmt::format("{} {}", trigger, id.as_string()) : std::string();
}

bool in_conversation(const Json& by)
{
    return std::any_of(by.as_array().begin(), by.as_array().end(), [](const Json& one) { return one.as_string() == "conversation" || one.as_string().starts_with("chat:"); });
}

Status CoreImpl::load_questions()
{
    asking_.clear();
    const auto open = writer_.open_questions();
    if (!open) return fail(open.error());
    for (const Writer::OpenQuestion& one : *open) asking_[one.job].push_back({one.id, one.attempt});
    return {};
}

Status CoreImpl::open_question(JobKey job, const Binding& binding, QuestionRecord question)
{
    if (auto ok = writer_.insert_question(job, question); !ok) return ok;
    const std::string until = question.deadline ? " until " + format_time(*question.deadline) : std::string();
    const bool before = question.attempt == 0;
    Json detail = Json::object({{"question", question.id}, {"text", before ? fmt::format("it waits for the approval of {}{}", who_words(question.by), until)
                                                                          : fmt::format("it asks {}{}: {}", who_words(question.by), until, question.text)}});
    if (auto ok = job_line(job, before ? "approval_requested" : "question_asked", question.created, question.attempt, {}, {}, detail); !ok) return ok;
    if (auto ok = feed({.time = question.created, .kind = "question", .job = job, .subject = question.id, .what = name(question.state), .attempt = question.attempt, .agent = {},
                        .reason = {}, .detail = Json::object({{"kind", name(question.kind)}, {"text", question.text}})});
        !ok)
        return ok;
    asking_[job].push_back({question.id, question.attempt});
    news_for_asked(question.by);
    return tell_question(job, binding, question);
}

/// Those of them who have an agent. Who has a role is not known here.
void CoreImpl::news_for_asked(const Json& by)
{
    for (const Json& one : by.as_array()) {
        if (one.as_string().starts_with("role:")) return news_for_people();
        if (one.as_string().starts_with("user:")) news_for_people(one.as_string().substr(5));
    }
}

Status CoreImpl::close_question(JobKey job, QuestionRecord question)
{
    news_for_asked(question.by);
    if (auto ok = writer_.close_question(question); !ok) return ok;
    if (auto ok = feed({.time = *question.closed, .kind = "question", .job = job, .subject = question.id, .what = name(question.state), .attempt = question.attempt, .agent = {},
                        .reason = question.why, .detail = Json::object({{"kind", name(question.kind)}, {"by", question.answered_by}, {"way", question.way}})});
        !ok)
        return ok;
    if (question.attempt > 0 && question.state != QuestionState::withdrawn) {
        const std::string text = question.state == QuestionState::expired ? "nobody answered in time" : fmt::format("{} answered", question.answered_by);
        if (auto ok = job_line(job, fmt::format("question_{}", name(question.state)), *question.closed, question.attempt, {}, {}, Json::object({{"question", question.id}, {"text", text}})); !ok)
            return ok;
    }
    if (question.attempt > 0 && question.state != QuestionState::withdrawn) owe_answer(job, question);
    const auto found = asking_.find(job);
    if (found == asking_.end()) return {};
    std::erase_if(found->second, [&](const Asking& one) { return one.id == question.id; });
    if (found->second.empty()) asking_.erase(found);
    return {};
}

Status CoreImpl::withdraw_questions(JobKey job, const std::string& why)
{
    const auto found = asking_.find(job);
    if (found == asking_.end()) return {};
    const std::vector<Asking> open = found->second;
    for (const Asking& one : open) {
        auto question = writer_.read().question(one.id);
        if (!question) return fail(question.error());
        question->state = QuestionState::withdrawn;
        question->closed = clock_.now();
        question->why = why;
        if (auto ok = close_question(job, std::move(*question)); !ok) return ok;
    }
    return {};
}

Status CoreImpl::tick_questions(WallTime now)
{
    const auto due = writer_.due_questions(now, 1'000);
    if (!due) return fail(due.error());
    for (const std::string& id : *due) {
        auto question = writer_.read().question(id);
        if (!question) return fail(question.error());
        const auto job = writer_.job_key(question->job);
        if (!job) return fail(job.error());
        question->state = QuestionState::expired;
        question->closed = now;
        question->way = "deadline";
        question->answer = question->at_deadline["answer"];
        if (auto ok = close_question(*job, std::move(*question)); !ok) return ok;
    }
    return {};
}

Status CoreImpl::tell_question(JobKey job, const Binding& binding, const QuestionRecord& question, const std::string& again)
{
    if (!has_notifiers(binding, "question")) return {};
    const auto record = writer_.read().job(question.job);
    if (!record) return fail(record.error());
    const Json document = document_to_tell(*record, "question", clock_.now()).set("question", question_document(question));
    for (std::size_t i = 0; i < notifiers_.size(); ++i)
        if (is_source(notifiers_[i], binding) && listens(notifiers_[i], "question"))
            if (auto ok = tell(notifiers_[i], {.key = fmt::format("question {} {}", question.id, again), .event = "question", .job = job, .subject = {}, .final = false}, document); !ok) return ok;
    return {};
}

void CoreImpl::remind(std::string id, std::string text, std::string key, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [this, id = std::move(id), text = std::move(text), key = std::move(key)]() -> Result<Nothing> {
        auto question = writer_.read().question(id);
        if (!question) return fail(question.error());
        if (question->state != QuestionState::open) return Nothing{};
        const auto job = writer_.job_key(question->job);
        if (!job) return fail(job.error());
        const auto bound = writer_.job_binding(*job);
        if (!bound) return fail(bound.error());
        const auto binding = known_binding(*bound);
        if (!binding) return fail(binding.error());
        question->text = text;
        if (auto ok = tell_question(*job, (*binding)->binding, *question, key); !ok) return fail(ok.error());
        return Nothing{};
    });
}

void CoreImpl::ask(std::string agent, AskRequest request, Done<QuestionRecord> done)
{
    queue_.submit<QuestionRecord>(std::move(done), [this, agent = std::move(agent), request = std::move(request)]() mutable -> Result<QuestionRecord> {
        const auto asker = agent_by_id(agent);
        if (!asker) return fail(asker.error());
        const auto known = writer_.read().question(request.id);
        if (known && (known->job != request.attempt.job || known->attempt != request.attempt.attempt)) return fail(Errc::conflict, fmt::format("question {} is another attempt's", request.id));
        if (known) return *known;
        if (known.error().code != Errc::not_found) return fail(known.error());
        const Active* active = active_of(request.attempt.job);
        if (active == nullptr || active->attempt != request.attempt.attempt || active->epoch != request.attempt.epoch || active->agent != (*asker)->key)
            return fail(Errc::denied, fmt::format("attempt {} of job {} does not run at agent '{}'", request.attempt.attempt, request.attempt.job, (*asker)->record.name));
        if (const auto open = asking_.find(active->job); open != asking_.end() && open->second.size() >= kOpenQuestions)
            return fail(Errc::conflict, fmt::format("job {} has {} open questions already", active->uid, open->second.size()));
        const auto job = writer_.read().job(active->uid);
        if (!job) return fail(job.error());
        if (request.by.size() == 0) request.by = usual_answerers(*job, request.kind);
        if (auto ok = check_asked(request); !ok) return fail(ok.error());
        const auto asked_for = asked_before(active->job, *job);
        if (!asked_for) return fail(asked_for.error());
        QuestionRecord question{.id = request.id, .job = active->uid, .trigger = job->trigger, .attempt = active->attempt, .kind = request.kind, .text = request.text, .schema = request.schema,
                                .by = request.by, .not_by = {}, .at_deadline = request.at_deadline, .conversation = {}, .created = clock_.now(), .deadline = {}, .answer = {}, .comment = {},
                                .answered_by = {}, .way = {}, .closed = {}, .why = {}};
        if (request.not_requester) question.not_by = requesters(job->requested_by, *asked_for, job->context);
        if (in_conversation(request.by)) question.conversation = conversation_of(job->trigger, job->context);
        if (request.within) question.deadline = question.created + *request.within;
        if (auto ok = open_question(active->job, active->binding->binding, question); !ok) return fail(ok.error());
        return question;
    });
}

void CoreImpl::answer_question(QuestionAnswer answer, Who who, Done<Answered> done)
{
    queue_.submit<Answered>(std::move(done), [this, answer = std::move(answer), who = std::move(who)]() -> Result<Answered> {
        auto question = writer_.read().question(answer.question);
        if (!question) return fail(question.error());
        if (!answer.event_key.empty()) {
            const auto heard = writer_.idempotency(answer.event_scope, answer.event_key, clock_.now() - kKeysKept);
            if (heard) return Answered{Answered::Verdict::known, std::move(*question), {}};
            if (heard.error().code != Errc::not_found) return fail(heard.error());
        }
        const WallTime now = clock_.now();
        if (auto refused = refusal(*question, answer, who, now)) return std::move(*refused);
        const auto job = writer_.job_key(question->job);
        if (!job) return fail(job.error());
        question->state = QuestionState::answered;
        question->answer = answer.answer;
        question->comment = answer.comment;
        question->answered_by = who.name;
        question->way = answer.way;
        question->closed = now;
        if (auto ok = close_question(*job, *question); !ok) return fail(ok.error());
        Json detail = Json::object({{"job", question->job}, {"way", answer.way}});
        if (!answer.agent.empty()) detail.set("agent", answer.agent);   // whose word it is that this is the person
        if (question->kind == QuestionKind::approval) detail.set("approved", answer.answer);
        if (auto ok = audit(who, "answer", "Question", question->id, std::move(detail)); !ok) return fail(ok.error());
        if (!answer.event_key.empty())
            if (auto ok = writer_.put_idempotency(answer.event_scope, answer.event_key, answer.event_sha256, *job, now); !ok) return fail(Errc::internal, ok.error().what);
        if (question->kind == QuestionKind::approval && question->attempt == 0)
            if (auto ok = approve(*job, *question, who); !ok) return fail(ok.error());
        if (auto ok = dispatch(); !ok) return fail(ok.error());
        return Answered{Answered::Verdict::taken, std::move(*question), {}};
    });
}

}  // namespace mill::factory::core
