#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "factory/core/core_impl.h"

namespace mill::factory::core {

using protocol::JobState;

namespace {

constexpr std::size_t kMostStrangers = 20;   // agents of other environments that are named

std::string with_command(std::string text, const std::string& command)
{
    if (!command.empty()) text += fmt::format(" (`{}`)", command);
    return text;
}

}  // namespace

/// "14:02", with the date when it is not today: local time, as people at the factory read it.
std::string CoreImpl::clock_text(WallTime time) const
{
    const auto parts = [](WallTime at) {
        const std::time_t seconds = at.microseconds / 1'000'000;
        std::tm out{};
        localtime_r(&seconds, &out);
        return out;
    };
    const std::tm then = parts(time), today = parts(clock_.now());
    if (then.tm_year == today.tm_year && then.tm_yday == today.tm_yday) return fmt::format("{:02}:{:02}", then.tm_hour, then.tm_min);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", then.tm_year + 1900, then.tm_mon + 1, then.tm_mday, then.tm_hour, then.tm_min);
}

/// What the agent's last examination of itself found wrong; it may say why it is away.
void CoreImpl::why_doctor(const Agent& agent, std::vector<WhyReason>& out) const
{
    const DoctorState doctor = doctor_of(agent);
    std::size_t shown = 0;
    for (const Finding& found : doctor.findings) {
        if (found.state != "error" || ++shown > 3) continue;
        out.push_back({"agent_doctor", agent.record.name, fmt::format("{}'s doctor found at {}: {}: {} → {}", agent.record.name, clock_text(*doctor.answered), found.code, found.text, found.fix),
                       ""});
    }
}

AgentView CoreImpl::view_of(const KnownBinding& known, const dispatch::Environment& environment, const Agent& agent)
{
    using Can = PreflightAgent::Can;
    AgentView out;
    const std::string& name = agent.record.name;
    const auto lacks = dispatch::lacks(known.needs, environment, agent.record);
    if (!lacks.empty() && (lacks.front().code == "not_in_environment" || lacks.front().code == "private_environment") && agent.record.environment != environment.name) {
        out.member = false;
        out.reasons.push_back({lacks.front().code, name, with_command(lacks.front().text, lacks.front().command), lacks.front().command});
        return out;
    }
    for (const dispatch::Lack& lack : lacks) out.reasons.push_back({lack.code, name, with_command(lack.text, lack.command), lack.command});
    std::string refused = refusal_by(agent, known.binding.package_name, known.binding.package_version, known.binding.package_digest);
    if (!refused.empty()) out.reasons.push_back({"agent_refuses", name, fmt::format("{} would refuse it: {}", name, refused), ""});
    const bool fits = refused.empty() && std::all_of(lacks.begin(), lacks.end(), dispatch::is_passing);
    out.can = fits ? Can::later : Can::no;
    if (const auto* refusal = refusal_of(known, agent); refusal != nullptr && fits) {
        out.reasons.push_back({std::string(consent_code(refusal->choice)), name, refusal_words(agent, *refusal), ""});
        out.next = refusal->until;
    }
    const bool passes = fits && !out.reasons.empty();
    if (!agent.online) {
        std::string text = agent.record.offline_since ? fmt::format("{} is offline since {}", name, clock_text(*agent.record.offline_since))
                                                       : fmt::format("{} has not been seen yet", name);
        if (!agent.record.goodbye.empty()) text += fmt::format(", it said: {}", agent.record.goodbye);
        out.reasons.push_back({"agent_offline", name, std::move(text), ""});
        why_doctor(agent, out.reasons);
        return out;
    }
    if (out.can == Can::no || passes) return out;
    if (!agent.unable.empty()) {
        out.reasons.push_back({"agent_unable", name, fmt::format("{} cannot run jobs: {}", name, agent.unable), ""});
        why_doctor(agent, out.reasons);
    } else if (board_.wanted(agent.key) > 0) {
        out.can = Can::now;
        out.reasons.push_back({"free", name, fmt::format("{} is free", name), ""});
    } else if (agent.holds.size() >= agent.record.slots) {
        std::string jobs;
        std::size_t shown = 0;
        for (const JobKey job : agent.holds) {
            if (++shown > 5) {
                jobs += ", …";
                break;
            }
            const Active& active = active_.at(job);
            jobs += fmt::format("{}{} ({})", jobs.empty() ? "" : ", ", active.uid, active.binding->binding.trigger);
        }
        out.reasons.push_back({"slots_full", name, fmt::format("{} has all {} slots in use: {}", name, agent.record.slots, jobs), ""});
    } else {
        out.reasons.push_back({"agent_busy", name, fmt::format("{} asks for no job at the moment", name), ""});
    }
    return out;
}

/// No agent is in the environment; `strangers` says where some are.
void CoreImpl::why_nobody(const KnownBinding& known, const dispatch::Environment& environment, std::vector<WhyReason> strangers, std::vector<WhyReason>& out) const
{
    if (!known.needs.agent.empty()) {
        out.push_back({"no_agents", known.needs.agent, fmt::format("there is no agent '{}' any more", known.needs.agent), ""});
        return;
    }
    if (!environment.documented && strangers.size() < agents_.size())
        out.push_back({"environment_missing", environment.name, fmt::format("there is no environment '{}'", environment.name), ""});
    const std::string command = fmt::format("millwright agents invite --environment {}", environment.name);
    out.push_back({"no_agents", environment.name, with_command(fmt::format("no agent is in environment '{}'", environment.name), command), command});
    out.insert(out.end(), strangers.begin(), strangers.end());
}

/// What each agent lacks for jobs of this binding. `free`: one of them could take a job now.
void CoreImpl::why_agents(const KnownBinding& known, Why& out, bool& free, std::optional<WallTime>& next)
{
    const dispatch::Environment& environment = board_.environment(known.needs.environment);
    std::vector<const Agent*> sorted;
    for (const auto& [key, agent] : agents_)
        if ((known.needs.agent.empty() || known.needs.agent == agent.record.name) && (!known.needs.bound || known.needs.bound->agent == agent.record.id)) sorted.push_back(&agent);
    std::sort(sorted.begin(), sorted.end(), [](const Agent* a, const Agent* b) { return a->record.name < b->record.name; });
    std::vector<WhyReason> strangers;
    std::size_t members = 0;
    bool others = false;   // that fit, and whom nobody keeps from it
    for (const Agent* agent : sorted) {
        AgentView view = view_of(known, environment, *agent);
        if (!view.member) {
            if (strangers.size() < kMostStrangers) strangers.push_back(std::move(view.reasons.front()));
            continue;
        }
        ++members;
        free = free || view.can == PreflightAgent::Can::now;
        if (view.next && (!next || *view.next < *next)) next = view.next;
        others = others || (view.can != PreflightAgent::Can::no && !view.next);
        for (WhyReason& reason : view.reasons) out.reasons.push_back(std::move(reason));
    }
    if (others) next.reset();
    if (members == 0) why_nobody(known, environment, std::move(strangers), out.reasons);
}

Result<Why> CoreImpl::why_ready(const std::string& uid, JobKey job, const BindingRef& binding, const std::optional<JobRecord>& record)
{
    Why out{.job = uid, .state = JobState::ready, .summary = {}, .reasons = {}};
    const dispatch::Needs& needs = binding->needs;
    const auto stopped = why_stopped(binding->binding);
    if (stopped) out.reasons.push_back(*stopped);
    const std::uint32_t occupied = board_.occupied(needs.trigger);
    if (needs.concurrency > 0 && occupied >= needs.concurrency) {
        std::string jobs;
        for (const auto& [key, active] : active_)
            if (active.binding->binding.trigger == needs.trigger && jobs.size() < 300) jobs += fmt::format("{}{}", jobs.empty() ? "" : ", ", active.uid);
        out.reasons.push_back({"trigger_concurrency", needs.trigger,
                               fmt::format("trigger '{}' lets {} jobs run at once, and {} do: {}", needs.trigger, needs.concurrency, occupied, jobs), ""});
    }
    const auto held = why_hold(needs.environment);
    if (held) out.reasons.push_back(*held);
    const auto locked = why_locks(*binding);
    out.reasons.insert(out.reasons.end(), locked.begin(), locked.end());
    bool free = false;
    std::optional<WallTime> next;
    if (!stopped) why_agents(*binding, out, free, next);
    if (record)
        if (auto aged = why_aged(record->priority, record->created)) out.reasons.push_back(std::move(*aged));
    if (record) {
        constexpr std::size_t kCounted = 10'000;   // nobody needs it closer, and a queue may be long
        const auto ahead = writer_.ready_before(job, binding->binding.id, turn_of(record->priority, record->created), kCounted);
        if (!ahead) return fail(ahead.error());
        if (*ahead > 0)
            out.reasons.push_back({"queue", needs.trigger, fmt::format("{}{} jobs of trigger '{}' are before it", *ahead >= kCounted ? "at least " : "", *ahead, needs.trigger), ""});
    }
    if (stopped) out.summary = stopped->text;
    else if (held) out.summary = held->text;
    else if (needs.concurrency > 0 && occupied >= needs.concurrency) out.summary = out.reasons.front().text;
    else if (!locked.empty()) out.summary = locked.front().text;
    else if (needs.bound) out.summary = bound_words(*needs.bound);
    else if (!needs.agent.empty()) out.summary = free ? fmt::format("agent '{}' is free", needs.agent) : fmt::format("waits for agent '{}'", needs.agent);
    else if (free) out.summary = fmt::format("an agent of environment '{}' is free", needs.environment);
    else out.summary = fmt::format("waits for an agent of environment '{}'", needs.environment);
    if (next && !stopped && !held) out.summary += fmt::format(": nobody who could take it is asked again before {}", clock_text(*next));
    return out;
}

Result<Why> CoreImpl::why_waiting(const JobRecord& job, JobKey key, const BindingRef& binding)
{
    auto out = why_ready(job.uid, key, binding, job);
    auto approval = why_approval(key);
    if (!approval) return fail(approval.error());
    if (!out || !*approval) return out;
    out->summary = (*approval)->text;   // whoever is free: it is offered to nobody before
    out->reasons.insert(out->reasons.begin(), std::move(**approval));
    return out;
}

Why CoreImpl::why_active(const Active& active)
{
    Why out{.job = active.uid, .state = active.state, .summary = {}, .reasons = {}};
    const Agent& agent = agents_.at(active.agent);
    const std::string& name = agent.record.name;
    if (active.state == JobState::assigned)
        out.reasons.push_back({"offered", name, active.named ? fmt::format("{} has taken it and prepares it since {}", name, clock_text(*active.assigned))
                                                             : fmt::format("offered to {} at {}, which has not answered yet", name, clock_text(*active.assigned)), ""});
    else
        out.reasons.push_back({"running", name, fmt::format("{} runs it since {}{}", name, clock_text(active.started.value_or(active.created)),
                                                            active.state == JobState::waiting ? "; it waits for a person" : ""), ""});
    why_asking(active, out.reasons);
    const Milliseconds silence = std::chrono::duration_cast<Milliseconds>(clock_.steady() - active.renewed);
    if (silence >= options_.renew * 2 || !agent.online) {
        const Milliseconds limit = active.binding->binding.repeatable ? options_.lease : active.binding->needs.offline_limit.value_or(options_.offline_limit);
        const std::string then = waits_for_people(active) && !active.binding->binding.repeatable ? "it counts as failed (agent_lost), but not before its question is answered" : active.binding->binding.repeatable ? "it is started anew" : "it counts as failed (agent_lost)";
        out.reasons.push_back({agent.online ? "agent_silent" : "agent_offline", name,
                               fmt::format("{} is {} since {}; when it has said nothing for {}, {}", name, agent.online ? "silent" : "offline",
                                           clock_text(agent.online ? active.heard : agent.record.offline_since.value_or(active.heard)),
                                           format_duration(limit), then), ""});
    }
    if (active.asking && active.state == JobState::assigned)
        out.reasons.push_back({"consent_asked", name, fmt::format("{} is asked at {} until {} whether it may run there", agent.record.user, name, clock_text(*active.asking)), ""});
    if (awaited_.contains(agent.key))
        if (auto held = why_hold(active.binding->binding.environment)) out.reasons.push_back(std::move(*held));
    if (active.cancel)
        out.reasons.push_back({"cancel_sent", name, fmt::format("{} asked to cancel it at {}{}{}; {} {}", active.cancel->by, clock_text(active.cancel->time),
                                                                active.cancel->why.empty() ? "" : ": ", active.cancel->why, name,
                                                                active.cancel_sent ? "was told and has not reported yet" : "has not been told yet"), ""});
    out.summary = out.reasons.back().text;
    return out;
}

void CoreImpl::why(std::string uid, Done<Why> done)
{
    queue_.submit<Why>(std::move(done), [this, uid = std::move(uid)]() -> Result<Why> {
        if (const Active* active = active_of(uid)) {
            Why out = why_active(*active);
            if (auto ok = add_past_waits(out); !ok) return fail(ok.error());
            return out;
        }
        const auto job = writer_.read().job(uid);
        if (!job) return fail(job.error());
        if (protocol::is_final(job->state)) {
            auto out = why_ended(*job);
            if (!out) return out;
            if (auto ok = add_past_waits(*out); !ok) return fail(ok.error());
            return out;
        }
        const auto key = writer_.job_key(uid);
        if (!key) return fail(key.error());
        const auto id = writer_.job_binding(*key);
        if (!id) return fail(id.error());
        const auto binding = known_binding(*id);
        if (!binding) return fail(binding.error());
        auto out = why_waiting(*job, *key, *binding);
        if (!out) return out;
        if (auto ok = add_past_waits(*out, true); !ok) return fail(ok.error());
        return out;
    });
}

void CoreImpl::why_trigger(std::string trigger, Done<Why> done)
{
    queue_.submit<Why>(std::move(done), [this, trigger = std::move(trigger)]() -> Result<Why> {
        const auto binding = binding_of_trigger(trigger);
        if (!binding) return fail(binding.error());
        auto out = why_ready("", 0, *binding);
        if (!out) return out;
        if (const std::size_t waiting = board_.ready_count((*binding)->binding.id); waiting > 0)
            out->reasons.push_back({"queue", trigger, fmt::format("{} jobs of trigger '{}' wait", waiting, trigger), ""});
        if (const Json& by = (*binding)->binding.rules["approval"]["by"]; by.is_array())
            out->reasons.push_back({"approval", trigger, fmt::format("each of its jobs waits first for the approval of {}", who_words(by)), ""});
        if (std::string words = schedule_words(trigger); !words.empty())
            out->reasons.push_back({"schedule", trigger, std::move(words), fmt::format("millwright triggers schedule {}", trigger)});
        return out;
    });
}

void CoreImpl::why_environment(std::string environment, Done<Why> done)
{
    queue_.submit<Why>(std::move(done), [this, environment = std::move(environment)]() -> Result<Why> {
        auto plain = std::make_shared<KnownBinding>();
        plain->binding.environment = environment;
        plain->needs = dispatch::read_needs("", environment, Json::object());
        return why_ready("", 0, plain);
    });
}

/// One sentence for the answer of a trigger; kept for a second, because a burst of jobs waits for the same.
std::string CoreImpl::waiting_for(const BindingRef& binding)
{
    Waiting& known = waiting_texts_[binding->binding.id];
    if (!known.text.empty() && clock_.steady() < known.until) return known.text;
    const auto why = why_ready("", 0, binding);
    std::string text = why ? why->summary : "";
    if (why) {
        std::size_t shown = 0;
        for (const WhyReason& reason : why->reasons) {
            if (reason.text == why->summary) continue;
            if (++shown > 3) {
                text += "; …";
                break;
            }
            text += (shown == 1 ? ": " : "; ") + reason.text;
        }
    }
    known = {text, clock_.steady() + Milliseconds(1'000)};
    wait_notes_[binding->binding.id] = {text, clock_.steady()};
    return text;
}

/// One binding a tick: among many agents an answer is some milliseconds of this thread.
Status CoreImpl::note_waits(SteadyTime now)
{
    constexpr std::chrono::seconds kOften{10};
    for (const std::int64_t id : board_.waiting()) {
        if (const auto known = wait_notes_.find(id); known != wait_notes_.end() && now - known->second.at < kOften) continue;
        const auto binding = known_binding(id);
        if (!binding) return fail(binding.error());
        (void)waiting_for(*binding);
        break;
    }
    return {};
}

/// For the line `assigned` of a job that was not assigned at once.
Json CoreImpl::wait_over(const BindingRef& binding, WallTime since, WallTime now) const
{
    const auto known = wait_notes_.find(binding->binding.id);
    const Milliseconds waited = std::chrono::duration_cast<Milliseconds>(now - since);
    if (known == wait_notes_.end() || known->second.text.empty() || waited < Milliseconds(1'000) || binding->binding.rules.contains("approval")) return {};   // a person was waited for
    return Json::object({{"waitedFor", known->second.text}, {"text", "it " + (known->second.text.starts_with("waits ") ? "waited " + known->second.text.substr(6) : "waited: " + known->second.text)}});
}

/// What it waited for before, and for how long each time.
Status CoreImpl::add_past_waits(Why& out, bool consents_alone)
{
    const auto rows = writer_.read().timeline(out.job);
    if (!rows) return fail(rows.error());
    WallTime ready{};   // 0: it is not
    for (const TimelineRow& row : *rows) {
        if (row.what.starts_with("consent_") && std::none_of(out.reasons.begin(), out.reasons.end(), [&](const WhyReason& one) { return one.code == row.what && one.subject == row.agent; }))
            out.reasons.push_back({row.what, row.agent, fmt::format("at {}: {}", clock_text(row.time), row.detail["text"].as_string()), ""});
        if (row.what == "ready" || row.what == "approved") ready = row.time;
        if (const auto told = parse_time(row.detail["toldAt"].as_string()); told && row.what == "assigned")
            out.reasons.push_back({"begun_away", row.agent, fmt::format("{}, at {}; the agent told of it at {}", row.detail["text"].as_string(), clock_text(row.time), clock_text(*told)), ""});
        if (consents_alone || row.what != "assigned" || ready.microseconds == 0) continue;
        if (const Json& what = row.detail["waitedFor"]; what.is_string())
            out.reasons.push_back({"waited", row.agent, fmt::format("it was ready for {}, until {} took it at {}: {}",
                                                                    format_duration(std::chrono::floor<std::chrono::seconds>(row.time - ready)), row.agent, clock_text(row.time), what.as_string()), ""});
        ready = {};
    }
    return {};
}

}  // namespace mill::factory::core
