#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/checks.h"
#include "factory/api/handlers.h"
#include "factory/api/question_checks.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "protocol/secret_fields.h"
#include "platform/base/fields.h"

namespace mill::factory {

Json question_json(const QuestionRecord& question)
{
    Json out = Json::object({{"id", Json(question.id)}, {"kind", Json(name(question.kind))}, {"state", Json(name(question.state))}, {"text", Json(question.text)},
                             {"job", Json(question.job)}, {"trigger", Json(question.trigger)}, {"by", question.by}, {"whoMayAnswer", Json(who_words(question.by))}});
    if (question.attempt > 0) out.set("attempt", Json(question.attempt));
    if (!question.schema.is_null()) out.set("schema", question.schema);
    if (!question.not_by.empty()) out.set("notBy", question.not_by);
    out.set("createdAt", Json(format_time(question.created)));
    set_time(out, "deadline", question.deadline);
    const auto shown = [&](const Json& answer) { return protocol::without_secrets(question.schema, answer); };   // whole it goes to the agent that asks, and to nobody else
    if (question.at_deadline.contains("answer")) {
        Json then = question.at_deadline;
        out.set("atDeadline", then.set("answer", shown(question.at_deadline["answer"])));
    }
    if (question.state == QuestionState::open) return out;
    set_time(out, "closedAt", question.closed);
    if (!question.answer.is_null() || question.state == QuestionState::answered) out.set("answer", shown(question.answer));
    set_text(out, "comment", question.comment);
    set_text(out, "answeredBy", question.answered_by);
    set_text(out, "way", question.way);
    set_text(out, "why", question.why);
    return out;
}

namespace handler {
namespace {

constexpr std::size_t kLongestComment = 1000;

void unknown_question(const Call& call)
{
    reply_problem(call, 404, fmt::format("question '{}' is not there; GET /v1/questions?state=open lists those that are open", call["id"].substr(0, 80)), "unknown_question");
}

std::string environment_of(Reader& reader, const QuestionRecord& question)
{
    const auto job = reader.job(question.job);
    return job ? job->environment : std::string();
}

void reply_answered(const Call& call, const Answered& answered)
{
    using Verdict = Answered::Verdict;
    const Json more = Json::object({{"question", question_json(answered.question)}});
    switch (answered.verdict) {
    case Verdict::taken:
    case Verdict::known: return reply(call, 200, question_json(answered.question));
    case Verdict::answered: return reply_problem(call, 409, answered.why, "answered", more);
    case Verdict::over: return reply_problem(call, 410, answered.why, "question_over", more);
    case Verdict::own: return reply_problem(call, 403, answered.why, "own_request");
    case Verdict::not_asked: return reply_problem(call, 403, answered.why, "not_asked");
    }
}

}  // namespace

bool check_answer(Service& service, const QuestionRecord& question, const Json& answer, std::function<void(Result<std::vector<std::string>>)> then)
{
    const InputSchemas schemas = compile_inputs(Json::object({{"answer", question.schema}}));
    const InputSchema& schema = schemas.at("answer");
    if (schema.is_light(answer)) return then(schema.schema ? schema.schema->mistakes(answer) : std::vector<std::string>()), true;
    return service.checker->check_input(question.schema, answer, std::move(then));
}

Json mistake_json(const std::string& mistake)
{
    const std::size_t colon = mistake.find(": ");
    if (!mistake.starts_with('/') || colon == std::string::npos) return Json::object({{"path", ""}, {"text", mistake}});
    return Json::object({{"path", colon == 1 ? std::string() : mistake.substr(0, colon)}, {"text", mistake.substr(colon + 2)}});   // "/": all of it
}

void give_answer(Service& service, const CallPtr& call, const QuestionRecord& question, QuestionAnswer answer, Who who, bool for_form)
{
    const auto give = [&service, call, answer, who, for_form](const Result<std::vector<std::string>>& mistakes) {
        if (!mistakes) return reply_unchecked(*call, "the answer against the question's schema", mistakes.error(), 400, "answer");
        if (!mistakes->empty()) {
            Json list = Json::array();
            for (const std::string& mistake : *mistakes) list.push(for_form ? mistake_json(mistake) : Json(mistake));
            return reply_problem(*call, 400, fmt::format("the answer does not fit what is asked: {}", fmt::join(*mistakes, "; ")), "answer", Json::object({{"mistakes", std::move(list)}}));
        }
        service.core.answer_question(answer, who, [call](const Result<Answered>& answered) {
            if (passed(*call, answered)) reply_answered(*call, *answered);
        });
    };
    // Too late is too late, whatever the answer is.
    if (question.state != QuestionState::open) return give(std::vector<std::string>());
    if (!check_answer(service, question, answer.answer, give)) reply_checks_full(*call);
}

void list_questions(Service& service, const CallPtr& call)
{
    QuestionQuery query;
    query.job = call->http.query_value("job");
    query.cursor = call->http.query_value("cursor");
    if (const auto state = call->http.query_value("state"); !state.empty()) {
        query.state = parse_question_state(state);
        if (!query.state) return reply_problem(*call, 400, fmt::format("'state' must be one of open, answered, expired, withdrawn; found '{}'", state.substr(0, 80)));
    }
    const auto limit = limit_of(*call);
    if (!passed(*call, limit)) return;
    query.limit = *limit;
    const auto reader = service.core.reader();
    const auto page = reader->questions(query);
    if (!page && page.error().code == Errc::not_found) return reply_problem(*call, 404, fmt::format("job '{}' is not there", query.job.substr(0, 80)), "unknown_job");
    if (!passed(*call, page)) return;
    Json items = Json::array();
    for (const QuestionRecord& each : page->items)
        if (call->identity.everywhere() || sees_environment(*call, environment_of(*reader, each))) items.push(question_json(each));
    Json out = Json::object({{"items", std::move(items)}});
    set_text(out, "next", page->next);
    reply(*call, 200, out);
}

void get_question(Service& service, const CallPtr& call)
{
    const auto reader = service.core.reader();
    const auto question = reader->question((*call)["id"]);
    if (!question && question.error().code == Errc::not_found) return unknown_question(*call);
    if (!passed(*call, question)) return;
    if (!sees_environment(*call, environment_of(*reader, *question))) return unknown_question(*call);
    reply(*call, 200, question_json(*question));
}

void answer_question(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "answer");
    QuestionAnswer answer{.question = (*call)["id"], .answer = fields.any("answer"), .comment = fields.text("comment", ""), .way = "api", .names = {},
                          .event_scope = {}, .event_key = {}, .event_sha256 = {}};
    if (answer.comment.size() > kLongestComment) fields.mistake("comment", fmt::format("is longer than {} bytes", kLongestComment));
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const auto reader = service.core.reader();
    const auto question = reader->question(answer.question);
    if (!question && question.error().code == Errc::not_found) return unknown_question(*call);
    if (!passed(*call, question)) return;
    const std::string environment = environment_of(*reader, *question);
    if (!sees_environment(*call, environment)) return unknown_question(*call);
    answer.names = names_of(call->identity, environment);
    give_answer(service, call, *question, std::move(answer), call->who(), false);
}

}  // namespace handler
}  // namespace mill::factory
