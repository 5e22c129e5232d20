// Triggers with `approval`: their jobs wait on no board, offered to nobody, until somebody says yes. Until then `within` counts, and `expiration` from then on.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "factory/core/sources.h"
#include "platform/base/ids.h"

namespace mill::factory::core {

using protocol::JobState;
using protocol::Reason;

std::string CoreImpl::approval_of(JobKey job) const
{
    const auto found = asking_.find(job);
    if (found == asking_.end()) return {};
    const auto one = std::find_if(found->second.begin(), found->second.end(), [](const Asking& each) { return each.attempt == 0; });
    return one == found->second.end() ? std::string() : one->id;
}

bool CoreImpl::awaits_approval(JobKey job) const { return !approval_of(job).empty(); }

Result<std::string> CoreImpl::ask_approval(JobKey key, const BindingRef& binding, NewJob& job)
{
    const Json& approval = binding->binding.rules["approval"];
    const std::string& trigger = binding->binding.trigger;
    const auto context = parse_json(job.context.empty() ? "null" : job.context);
    QuestionRecord question{.id = new_uid(), .job = job.uid, .trigger = trigger, .kind = QuestionKind::approval,
                            .text = fmt::format("May job {} of trigger '{}' start? {} asked for it.", job.uid, trigger, job.requested_by),
                            .schema = Json::object({{"type", "boolean"}}), .by = approval["by"], .not_by = requesters(job.requested_by, job.asked_by, context ? *context : Json()),
                            .at_deadline = {}, .conversation = {}, .created = job.created, .deadline = {}, .answer = {}, .comment = {}, .answered_by = {}, .way = {}, .closed = {}, .why = {}};
    if (job.expires) question.starts_within = std::chrono::duration_cast<Milliseconds>(*job.expires - job.created);
    question.deadline = job.created + parse_duration(approval["within"].as_string()).value_or(std::chrono::hours(24));
    if (context && in_conversation(question.by)) question.conversation = conversation_of(trigger, *context);
    job.expires = question.deadline;
    if (auto ok = writer_.job_expires(key, job.expires); !ok) return fail(ok.error());
    if (auto ok = open_question(key, binding->binding, question); !ok) return fail(ok.error());
    const auto why = why_approval(key);
    if (!why) return fail(why.error());
    return (*why)->text;
}

/// What the answer means for the job: it may start now, or it does not start at all.
Status CoreImpl::approve(JobKey job, const QuestionRecord& question, const Who& who)
{
    const WallTime now = *question.closed;
    if (question.answer.as_bool()) {
        Json detail = Json::object({{"question", question.id}, {"by", who.name}, {"way", question.way},
                                    {"text", fmt::format("{} approved it{}{}", who.name, question.comment.empty() ? "" : ": ", question.comment)}});
        if (auto ok = job_line(job, "approved", now, 0, {}, {}, std::move(detail)); !ok) return ok;
        std::optional<WallTime> expires;
        if (question.starts_within.count() > 0) expires = now + question.starts_within;
        if (auto ok = writer_.job_expires(job, expires); !ok) return ok;
        const auto row = writer_.waiting_job(job);
        if (!row) return fail(row.error());
        const auto binding = known_binding(row->binding);
        if (!binding) return fail(binding.error());
        board_.add_ready(job, row->binding, turn_of(row->priority, row->created));
        watch_job(job, (*binding)->binding, row->attempt, now);
        return {};
    }
    if (auto ok = writer_.cancel_job(job, {who.name, question.comment, now}); !ok) return ok;
    return end_ready(job, {.state = JobState::cancelled, .reason = Reason::cancelled_by, .output = {}, .error = {},
                           .evidence = Json::object({{"refused", true}, {"by", who.name}, {"why", question.comment}, {"way", question.way}, {"question", question.id}}), .time = now});
}

Result<std::optional<WhyReason>> CoreImpl::why_approval(JobKey job)
{
    const std::string id = approval_of(job);
    if (id.empty()) return std::optional<WhyReason>();
    const auto question = writer_.read().question(id);
    if (!question) return fail(question.error());
    std::string command = fmt::format("millwright questions answer {} --yes", id);
    std::string text = fmt::format("waits for the approval of {}{} (`{}`, or --no)", who_words(question->by), question->deadline ? " until " + clock_text(*question->deadline) : "", command);
    return std::optional(WhyReason{"approval", question->trigger, std::move(text), std::move(command)});
}

Result<Json> CoreImpl::expire_approval(JobKey job, WallTime now)
{
    const std::string id = approval_of(job);
    if (id.empty()) return Json();
    auto question = writer_.read().question(id);
    if (!question) return fail(question.error());
    const Milliseconds within = std::chrono::duration_cast<Milliseconds>(question->deadline.value_or(now) - question->created);
    Json evidence = Json::object({{"question", id}, {"waitedFor", fmt::format("the approval of {}, which nobody gave within {}", who_words(question->by), format_duration(within))}});
    question->state = QuestionState::expired;
    question->closed = now;
    question->way = "deadline";
    if (auto ok = close_question(job, std::move(*question)); !ok) return fail(ok.error());
    return evidence;
}

}  // namespace mill::factory::core
