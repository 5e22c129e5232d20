// Between a question of a running attempt and its agent: the answer goes out with polls until it was heard, and what is told goes on to people.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "factory/core/sources.h"
#include "platform/base/ids.h"

namespace mill::factory::core {
namespace {

constexpr Milliseconds kAnswerAgain{2'000};   // the poll that carried it may have been lost
constexpr std::uint32_t kMostTells = 1'000;   // of one attempt; the rest stands in its log

}  // namespace

/// Whoever the job is for. An approval is somebody else's.
Json CoreImpl::usual_answerers(const JobRecord& job, QuestionKind kind)
{
    Json out = Json::array();
    if (!conversation_of(job.trigger, job.context).empty()) out.push("conversation");
    if (kind == QuestionKind::ask)
        for (const std::string_view who : {"user ", "admin "})
            if (job.requested_by.starts_with(who)) out.push("user:" + job.requested_by.substr(who.size()));
    if (out.size() == 0 || kind == QuestionKind::approval) out.push("role:operator");
    return out;
}

Status CoreImpl::load_answered()
{
    const auto answered = writer_.answered_questions();
    if (!answered) return fail(answered.error());
    for (const Writer::OpenQuestion& each : *answered)
        if (const auto found = active_.find(each.job); found != active_.end() && found->second.attempt == each.attempt) found->second.answers[each.id];
    return {};
}

void CoreImpl::owe_answer(JobKey job, const QuestionRecord& question)
{
    const auto found = active_.find(job);
    if (found == active_.end() || found->second.attempt != question.attempt) return;
    found->second.answers[question.id];
    found->second.owed = clock_.steady();
    stirred_.insert(found->second.agent);
}

void CoreImpl::heard(Agent& agent, const std::vector<std::string>& questions)
{
    for (const std::string& each : questions)
        for (const JobKey job : agent.holds) active_.at(job).answers.erase(each);
}

bool CoreImpl::answers_due(const Active& active) const
{
    return std::any_of(active.answers.begin(), active.answers.end(), [&](const auto& each) { return !each.second || clock_.steady() - *each.second >= kAnswerAgain; });
}

void CoreImpl::add_answers(Active& active, PollAnswer& answer)
{
    for (auto& [id, sent] : active.answers) {
        if (sent && clock_.steady() - *sent < kAnswerAgain) continue;
        auto question = writer_.read().question(id);
        if (!question) continue;
        sent = clock_.steady();
        answer.answered.push_back({{active.uid, active.epoch, active.attempt}, std::move(*question)});
    }
}

void CoreImpl::unask(std::string agent, protocol::AttemptId attempt, std::string id, std::string why, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [this, agent = std::move(agent), attempt = std::move(attempt), id = std::move(id), why = std::move(why)]() -> Result<Nothing> {
        const auto asker = agent_by_id(agent);
        if (!asker) return fail(asker.error());
        Active* active = active_of(attempt.job);
        if (active == nullptr || active->attempt != attempt.attempt || active->epoch != attempt.epoch) return Nothing{};   // ended: they are withdrawn
        if (active->agent != (*asker)->key) return fail(Errc::denied, fmt::format("attempt {} of job {} does not run at agent '{}'", attempt.attempt, attempt.job, (*asker)->record.name));
        active->answers.erase(id);
        auto question = writer_.read().question(id);
        if (!question && question.error().code == Errc::not_found) return Nothing{};
        if (!question) return fail(question.error());
        if (question->job != active->uid || question->attempt != active->attempt || question->state != QuestionState::open) return Nothing{};
        question->state = QuestionState::withdrawn;
        question->closed = clock_.now();
        question->why = why;
        if (auto ok = close_question(active->job, std::move(*question)); !ok) return fail(ok.error());
        return Nothing{};
    });
}

/// `tell.user`: a line of the job's log that people are to see.
Status CoreImpl::take_told(Active& active, const protocol::Event& event)
{
    if (++active.tells > kMostTells) return {};
    const std::string& text = event.body["text"].as_string();
    if (auto ok = job_line(active.job, "told", event.time, active.attempt, agents_.at(active.agent).record.name, {}, Json::object({{"text", text}})); !ok) return ok;
    QuestionRecord told{.id = new_uid(), .job = active.uid, .trigger = active.binding->binding.trigger, .attempt = active.attempt, .kind = QuestionKind::tell, .text = text, .schema = {}, .by = Json::array(),
                        .not_by = {}, .at_deadline = {}, .conversation = {}, .created = event.time, .deadline = {}, .answer = {}, .comment = {}, .answered_by = {}, .way = {}, .closed = {}, .why = {}};
    return tell_question(active.job, active.binding->binding, told);
}

void CoreImpl::why_asking(const Active& active, std::vector<WhyReason>& out)
{
    const auto open = asking_.find(active.job);
    if (open == asking_.end()) return;
    for (const Asking& each : open->second) {
        const auto question = writer_.read().question(each.id);
        if (!question) continue;
        const bool yes_or_no = question->kind == QuestionKind::approval || question->schema["type"].as_string() == "boolean";
        std::string command = fmt::format("millwright questions answer {} {}", question->id, yes_or_no ? "--yes" : "--input FILE");
        std::string text = fmt::format("asks {}{}: {} (`{}`)", who_words(question->by), question->deadline ? " until " + clock_text(*question->deadline) : "", question->text.substr(0, 200), command);
        out.push_back({"question", question->id, std::move(text), std::move(command)});
    }
}

}  // namespace mill::factory::core
