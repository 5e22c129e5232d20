// What a running job asks a person: brought by its agent, said again until the agent knows that it was taken.
#include <algorithm>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/question_checks.h"
#include "platform/base/fields.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kMostAnswerers = 100, kLongestAnswerer = 200, kLongestId = 64;

/// It stands in commands that people paste.
bool is_question_id(const std::string& id)
{
    return !id.empty() && id.size() <= kLongestId && id.front() != '-' &&
           std::all_of(id.begin(), id.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-'; });
}

}  // namespace

Json asked_json(const protocol::AttemptId& id, const QuestionRecord& question)
{
    Json out = protocol::to_json(id);
    out.set("question", question.id).set("state", name(question.state));
    if (question.state == QuestionState::answered || question.at_deadline.contains("answer")) out.set("answer", question.answer);
    if (question.state == QuestionState::open) return out;
    out.set("by", question.answered_by).set("comment", question.comment).set("why", question.why);
    if (question.closed) out.set("at", format_time(*question.closed));
    return out;
}

void agent_ask(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    auto attempt = protocol::parse_attempt_id(*json);
    if (!attempt) return reply_problem(*call, 400, fmt::format("ask: {}", attempt.error().what));
    Fields fields(*json, "ask");
    fields.ignore_unknown();
    const std::string id = fields.text("question");
    if (!is_question_id(id)) fields.mistake("question", "must be 1 to 64 letters, digits and '-', not '-' first");
    if (fields.has("withdraw")) {
        const std::string why = fields.text("withdraw").substr(0, 500);
        if (auto done = fields.done(); !done) return reply_error(*call, done.error());
        return service.core.unask(call->agent, std::move(*attempt), id, why, [call, id](const Result<Nothing>& done) {
            if (passed(*call, done)) reply(*call, 200, Json::object({{"question", id}, {"state", "withdrawn"}}));
        });
    }
    const bool approve = fields.one_of("kind", {"ask", "approve"}) == "approve";
    AskRequest request{.id = id, .attempt = *attempt, .kind = approve ? QuestionKind::approval : QuestionKind::ask, .text = fields.text("text"), .schema = (*json)["schema"],
                       .by = Json::array(), .not_requester = approve, .within = {}, .at_deadline = (*json)["atDeadline"]};
    for (const Json& each : (*json)["by"].as_array()) {
        if (!each.is_string() || each.as_string().size() > kLongestAnswerer || request.by.size() >= kMostAnswerers) fields.mistake("by", fmt::format("must be at most {} texts of at most {} bytes", kMostAnswerers, kLongestAnswerer));
        else request.by.push(each);
    }
    if (fields.has("withinMs")) request.within = Milliseconds(fields.integer("withinMs", 1, std::int64_t{366} * 24 * 3'600'000));
    if (!request.at_deadline.is_null() && !request.at_deadline.is_object()) fields.mistake("atDeadline", "must be {answer: …}");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    service.core.ask(call->agent, std::move(request), [call, attempt = *attempt](const Result<QuestionRecord>& question) {
        if (passed(*call, question)) reply(*call, 200, asked_json(attempt, *question));
    });
}

}  // namespace mill::factory::handler
