// Triggers that start a job when another one ends: once for each end, in its transaction.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "factory/core/sources.h"
#include "platform/base/log.h"

namespace mill::factory::core {
namespace {

constexpr std::uint32_t kMostEnds = 10;   // jobs that start each other: what the check of the documents did not see stops here
constexpr std::size_t kLargestInput = 1024 * 1024;

bool follows(const Json& event, const Binding& binding, std::string_view on)
{
    const Json& job = event["job"];
    const bool is_source = job["trigger"].is_string() ? job["trigger"].as_string() == binding.trigger : job["deployment"].as_string() == binding.deployment;
    return is_source && std::any_of(job["on"].as_array().begin(), job["on"].as_array().end(), [&](const Json& one) { return one.as_string() == on; });
}

}  // namespace

void CoreImpl::load_followers()
{
    followers_.clear();
    auto triggers = writer_.read().documents("Trigger");
    if (!triggers) {
        log::error("core", "event triggers: {}", triggers.error().what);
        return;
    }
    for (Document& document : *triggers)
        if (document.spec["type"].as_string() == "event" && document.spec["event"]["job"].is_object()) followers_.push_back(std::move(document));
}

Status CoreImpl::start_followers(JobKey job, const std::string& uid, const Binding& binding, std::string_view event)
{
    if (followers_.empty() || binding.rules.contains("agent") || binding.trigger.empty()) return {};
    std::vector<Document> following;
    std::copy_if(followers_.begin(), followers_.end(), std::back_inserter(following), [&](const Document& one) { return follows(one.spec["event"], binding, event); });
    if (following.empty()) return {};
    const auto record = writer_.read().job(uid);
    if (!record) return fail(record.error());
    const auto before = writer_.cause(job);
    if (!before) return fail(before.error());
    for (const Document& trigger : following)
        if (auto ok = start_follower(trigger, job, *record, event, *before); !ok) return ok;
    return {};
}

Status CoreImpl::start_follower(const Document& trigger, JobKey job, const JobRecord& record, std::string_view event, const Cause& before)
{
    const auto done = writer_.has_caused(job, trigger.uid);
    if (!done) return fail(done.error());
    // The same whenever this end is told: an older store hears of it again, and perhaps of the job that it had started, which then is this one.
    const std::string uid = delivery_id(record.uid, trigger.uid, "follower");
    if (*done || writer_.job_key(uid)) return {};
    const WallTime now = clock_.now();
    // Never an error: the job has ended, whatever comes of it elsewhere.
    const auto not_started = [&](const std::string& why) {
        log::warning("core", "trigger '{}' made no job when job {} ended: {}", trigger.name, record.uid, why);
        return job_line(job, "not_followed", now, 0, {}, {}, Json::object({{"trigger", trigger.name}, {"text", fmt::format("trigger '{}' made no job: {}", trigger.name, why)}}));
    };
    if (before.depth >= kMostEnds) return not_started(fmt::format("{} jobs started each other already, which is the most: do their triggers go in a circle?", kMostEnds));
    const auto binding = binding_for_job(trigger.name);
    if (!binding && binding.error().code != Errc::conflict && binding.error().code != Errc::not_found) return fail(binding.error());
    if (!binding) return not_started(binding.error().what);
    Json input = trigger.spec["input"];
    if (options_.input_maker) {
        auto made = options_.input_maker(trigger.spec, document_of(record, event, format_time(now)));
        if (!made) return not_started("event.input: " + made.error().what);
        input = std::move(*made);
    }
    std::string text = dump_json(input);
    if (text.size() > kLargestInput) return not_started(fmt::format("its input would have {} bytes, at most {} are taken", text.size(), kLargestInput));
    const auto asked_for = asked_before(job, record);
    if (!asked_for) return fail(asked_for.error());
    const Cause cause{job, before.depth + 1, requesters(record.requested_by, *asked_for, record.context)};
    Json context = record.context.is_object() ? record.context : Json::object();   // the conversation goes on
    context.set("event", Json::object({{"on", event}, {"job", record.uid}, {"trigger", record.trigger}, {"state", protocol::name(record.state)}, {"depth", cause.depth}}));
    const Json& rules = (*binding)->binding.rules;
    NewJob next{.uid = uid, .binding = 0, .priority = rules["priority"].is_integer() ? static_cast<int>(rules["priority"].as_integer()) : 50, .requested_by = "job " + record.uid,
                .retry_of = {}, .created = {}, .expires = {}, .input = std::move(text), .context = dump_json(context), .asked_by = cause.asked_by};
    if (const auto usual = parse_duration(rules["expiration"].as_string()); usual) next.expires = now + *usual;
    const auto made = make_job(*binding, std::move(next), std::move(input));
    if (!made) return fail(made.error());
    const auto key = writer_.job_key(made->job.uid);
    if (!key) return fail(key.error());
    if (auto ok = writer_.put_cause(*key, trigger.uid, cause); !ok) return fail(Errc::internal, ok.error().what);
    return job_line(job, "followed", now, 0, {}, {},
                    Json::object({{"trigger", trigger.name}, {"job", made->job.uid}, {"text", fmt::format("its end started job {} of trigger '{}'", made->job.uid, trigger.name)}}));
}

}  // namespace mill::factory::core
