// The store is an older one (restored, or copied back): what its agents did since is not in it. Until they have said it again nothing starts
// and nothing is delivered where they may have run something.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/core/core_impl.h"
#include "factory/core/restored.h"
#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/crypto.h"
#include "protocol/token.h"

namespace mill::factory::core {

using protocol::JobState;

namespace {

constexpr Milliseconds kDeliverLater{5'000};

WallTime time_of(const Json& text) { return parse_time(text.as_string()).value_or(WallTime{}); }

}  // namespace

Status CoreImpl::load_hold()
{
    hold_ = {};
    awaited_.clear();
    const auto epoch = writer_.read().setting("epoch");
    if (!epoch) return fail(epoch.error());
    epoch_ = std::strtoull(epoch->c_str(), nullptr, 10);
    const auto text = writer_.read().setting("hold");
    if (!text && text.error().code == Errc::not_found) return {};
    if (!text) return fail(text.error());
    const auto json = parse_json(*text);
    if (!json) return fail("the store's setting 'hold'", json.error());
    hold_.epoch = static_cast<std::uint64_t>((*json)["epoch"].as_integer());
    hold_.since = time_of((*json)["since"]);
    hold_.known_to = time_of((*json)["knownTo"]);
    hold_.how = (*json)["how"].as_string();
    for (const Json& name : (*json)["released"].as_array()) hold_.released.insert(name.as_string());
    return {};
}

void CoreImpl::show_hold()
{
    waiting_texts_.clear();
    if (awaited_.empty()) board_.hold({});
    else board_.hold([this](const std::string& environment) { return on_hold(environment); });
}

bool CoreImpl::is_known_for(const Agent& agent, const std::string& environment) const
{
    return agent.record.environment == environment || dispatch::preference(board_.environment(environment), agent.record).has_value();
}

bool CoreImpl::on_hold(const std::string& environment) const
{
    if (awaited_.empty() || hold_.released.contains(environment)) return false;
    return std::any_of(awaited_.begin(), awaited_.end(), [&](const AgentKey key) { return is_known_for(agents_.at(key), environment); });
}

bool CoreImpl::waits_for(const Agent& agent) const { return awaited_.contains(agent.key) && agent.can_repeat; }

Status CoreImpl::end_unknown(Active& active, const std::string& why)
{
    Json evidence = Json::object({{"agent", agents_.at(active.agent).record.name}, {"agentSays", why}, {"storeKnowsUpTo", format_time(hold_.known_to)}});
    return end_active(active, {.state = protocol::JobState::failed, .reason = protocol::Reason::outcome_unknown, .output = {}, .error = {},
                               .evidence = std::move(evidence), .time = clock_.now()});
}

Hold CoreImpl::hold_of(const std::string& environment) const
{
    Hold out{.environment = environment, .agents = {}, .unable = {}, .since = hold_.since, .known_to = hold_.known_to, .why = {},
             .command = fmt::format("millwright environments release {}", environment)};
    for (const AgentKey key : awaited_) {
        const Agent& agent = agents_.at(key);
        if (!is_known_for(agent, environment)) continue;
        out.agents.push_back(agent.record.name);
        if (!agent.can_repeat) out.unable.push_back(agent.record.name);
    }
    std::sort(out.agents.begin(), out.agents.end());
    std::string names = fmt::format("{}", fmt::join(out.agents.begin(), out.agents.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(out.agents.size(), 10)), ", "));
    if (out.agents.size() > 10) names += fmt::format(" and {} more", out.agents.size() - 10);
    out.why = fmt::format("nothing starts and nothing is delivered in environment '{}': the factory's store {} at {} and knows what happened up to {}; what ran later is awaited from {}",
                          environment, hold_.how, clock_text(hold_.since), clock_text(hold_.known_to), names);
    if (!out.unable.empty())
        out.why += fmt::format("; {} cannot say it again, being of an older version: upgrade, or release", fmt::join(out.unable, ", "));
    return out;
}

std::optional<WhyReason> CoreImpl::why_hold(const std::string& environment) const
{
    if (!on_hold(environment)) return std::nullopt;
    Hold hold = hold_of(environment);
    return WhyReason{"awaits_reports", hold.agents.front(), fmt::format("{} (`{}` stops waiting; what ran may then run again)", hold.why, hold.command), hold.command};
}

Status CoreImpl::compare(Agent& agent, const std::vector<SessionReport::Seen>& seen)
{
    if (awaited_.contains(agent.key)) return {};   // that is known, and it says it again
    for (const SessionReport::Seen& one : seen) {
        const auto row = writer_.attempt(one.id.job, one.id.attempt);
        if (!row && row.error().code != Errc::not_found) return fail(row.error());
        const bool here = row && row->epoch == one.id.epoch;
        // One of an earlier epoch that is not here was lost then, and that was settled.
        if (!here && one.id.epoch >= epoch_) return went_back(agent, one.id, one.acknowledged, 0);
        if (here && row->agent == agent.key && row->acknowledged < one.acknowledged) return went_back(agent, one.id, one.acknowledged, row->acknowledged);
    }
    return {};
}

Status CoreImpl::went_back(const Agent& agent, const protocol::AttemptId& id, std::uint64_t theirs, std::uint64_t ours)
{
    const WallTime now = clock_.now();
    WallTime known_to = now;
    if (const auto last = writer_.read().feed(last_feed_ > 0 ? last_feed_ - 1 : 0, 1); last && !last->empty()) known_to = last->front().time;
    epoch_ = std::max(next_epoch(epoch_, now), id.epoch + 1);
    hold_ = {.epoch = epoch_, .since = now, .known_to = known_to, .how = "was found to be an older one", .released = {}};
    if (auto ok = writer_.put_setting("epoch", std::to_string(epoch_)); !ok) return ok;
    if (auto ok = writer_.put_setting("hold", dump_json(hold_text(hold_.epoch, hold_.since, hold_.known_to, hold_.how, {}))); !ok) return ok;
    Json detail = Json::object({{"epoch", epoch_.load()}, {"lostFrom", format_time(known_to)}, {"attempt", id.key()}, {"agentHas", theirs}, {"storeHas", ours}});
    log::error("core", "the store went back: agent '{}' was acknowledged {} of attempt {}, here are {}; what happened after {} and no agent says again is lost",
               agent.record.name, theirs, id.key(), ours, format_time(known_to));
    writer_.skip_feed();
    if (auto ok = audit({fmt::format("agent {}", agent.record.name), {}}, "went_back", "Store", "store", detail); !ok) return ok;
    for (auto& [job, active] : active_) active.doubtful = true;
    for (auto& [key, one] : agents_) {
        awaited_.insert(key);
        one.asked_again = false;
        if (key != agent.key) end_poll(one, Error{Errc::unavailable, "this store is an older one: open a session, which asks for what ran since"});
    }
    show_hold();
    return feed({.time = now, .kind = "store", .subject = "store", .what = "went_back", .agent = agent.record.name, .reason = {}, .detail = std::move(detail)});
}

Status CoreImpl::await_no_more(AgentKey key, std::string_view why)
{
    awaited_.erase(key);
    show_hold();
    if (!awaited_.empty()) return {};
    return audit({"factory", {}}, "hold_over", "Store", "store", Json::object({{"epoch", hold_.epoch}, {"lostFrom", format_time(hold_.known_to)}, {"why", why}}));
}

void CoreImpl::reported_again(std::string id, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [this, id = std::move(id)]() -> Result<Nothing> {
        const auto found = agent_by_id(id);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        if (!awaited_.contains(agent.key)) return Nothing{};
        if (auto ok = writer_.reported_agent(agent.key, hold_.epoch); !ok) return fail(ok.error());
        // What it has not named by now is not there any more, nor is what came of it. One that was only offered is offered again: its agent may
        // never have seen it.
        const std::vector<JobKey> jobs(agent.holds.begin(), agent.holds.end());
        for (const JobKey job : jobs) {
            Active& active = active_.at(job);
            if (!active.doubtful || active.state == protocol::JobState::assigned) continue;
            if (auto ok = end_unknown(active, "neither that it runs nor how it ended"); !ok) return fail(ok.error());
        }
        if (auto ok = feed({.time = clock_.now(), .kind = "agent", .subject = agent.record.name, .what = "reported_again", .agent = {}, .reason = {}, .detail = {}}); !ok)
            return fail(ok.error());
        if (auto ok = await_no_more(agent.key, "all agents have said again what they did"); !ok) return fail(ok.error());
        stirred_.insert(agent.key);
        if (auto ok = dispatch(); !ok) return fail(ok.error());
        return Nothing{};
    });
}

void CoreImpl::holds(Done<std::vector<Hold>> done)
{
    queue_.submit<std::vector<Hold>>(std::move(done), [this]() -> Result<std::vector<Hold>> {
        std::set<std::string> names;
        for (const AgentKey key : awaited_) names.insert(agents_.at(key).record.environment);
        if (!awaited_.empty()) {
            const auto documents = writer_.read().documents("Environment");
            if (!documents) return fail(documents.error());
            for (const Document& document : *documents) names.insert(document.name);
        }
        std::vector<Hold> out;
        for (const std::string& name : names)
            if (on_hold(name)) out.push_back(hold_of(name));
        return out;
    });
}

void CoreImpl::release(std::string environment, Who who, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [this, environment = std::move(environment), who = std::move(who)]() -> Result<Nothing> {
        if (!on_hold(environment)) return fail(Errc::conflict, fmt::format("nothing is held in environment '{}'", environment));
        const Hold hold = hold_of(environment);
        std::set<std::string> released = hold_.released;
        released.insert(environment);
        if (auto ok = writer_.put_setting("hold", dump_json(hold_text(hold_.epoch, hold_.since, hold_.known_to, hold_.how, released))); !ok) return fail(ok.error());
        Json agents = Json::array();
        for (const std::string& name : hold.agents) agents.push(Json(name));
        const Json detail = Json::object({{"awaited", std::move(agents)}, {"lostFrom", format_time(hold_.known_to)}, {"epoch", hold_.epoch}});
        if (auto ok = audit(who, "release", "Environment", environment, detail); !ok) return fail(ok.error());
        if (auto ok = feed({.time = clock_.now(), .kind = "resource", .subject = environment, .what = "released", .agent = {}, .reason = {}, .detail = detail}); !ok)
            return fail(ok.error());
        hold_.released = std::move(released);
        show_hold();
        for (const auto& [key, agent] : agents_) stirred_.insert(key);
        if (auto ok = dispatch(); !ok) return fail(ok.error());
        return Nothing{};
    });
}

Status CoreImpl::put_off(std::vector<DeliveryRecord>& deliveries)
{
    std::vector<DeliveryRecord> out;
    for (DeliveryRecord& delivery : deliveries) {
        const auto job = delivery.job.empty() ? Result<JobRecord>(fail(Errc::not_found, "")) : writer_.read().job(delivery.job);
        if (!job || !on_hold(job->environment)) {
            out.push_back(std::move(delivery));
            continue;
        }
        delivery.next_try = clock_.now() + kDeliverLater;
        if (auto ok = writer_.change_delivery(delivery); !ok) return ok;
    }
    deliveries = std::move(out);
    return {};
}

/// The job of an attempt that the store has never heard of, as its agent was told of it.
Result<JobKey> CoreImpl::job_again(Agent& agent, const protocol::Offer& offer, const Json& text, WallTime created)
{
    Binding b;
    b.trigger = offer.trigger;
    b.deployment = offer.deployment;
    b.environment = offer.environment;
    b.workflow = offer.workflow;
    b.package_name = offer.package_name;
    b.package_version = offer.package_version;
    b.package_digest = offer.package_digest;
    b.repeatable = offer.repeatable;
    b.variables = offer.variables;
    b.credentials = Json::object();   // an agent says which they were, and could say any: what its broker holds goes on, more is not given
    b.permissions = text["permissions"];
    b.rules = Json::object();
    if (offer.trace) b.rules.set("trace", true);
    // What it holds was taken in what was lost; the documents still say what that is.
    const auto trigger = writer_.read().document("Trigger", b.trigger);
    const auto deployment = writer_.read().document("Deployment", b.deployment);
    if (Json locks = both_locks(trigger ? trigger->spec : Json(), deployment ? deployment->spec : Json()); !locks.empty()) b.rules.set("locks", std::move(locks));
    Json shape = text;
    for (const char* own : {"job", "epoch", "attempt", "input", "attemptToken", "leaseMs", "launch", "terms", "given", "title", "asked", "secretInput"})
        if (shape.contains(own)) shape.erase(own);
    b.key = "again:" + to_hex(platform::sha256(dump_json(shape) + dump_json(b.rules)));
    const auto id = writer_.put_binding(b);
    if (!id) return fail(id.error());
    const auto binding = known_binding(*id);
    if (!binding) return fail(binding.error());
    NewJob job{.uid = offer.id.job, .binding = *id, .priority = 50, .requested_by = fmt::format("agent {}, which said it again", agent.record.name), .retry_of = {},
               .created = created, .expires = {}, .input = offer.input.is_null() ? std::string() : dump_json(offer.input), .context = {}, .turn = turn_of(50, created)};
    const auto key = writer_.insert_job(job);
    if (!key) return key;
    if (auto ok = job_line(*key, "ready", created, 0, {}, {}, Json::object({{"by", job.requested_by}})); !ok) return fail(ok.error());
    return key;
}

/// Why an agent's word of an attempt is not taken; empty: it is. What the store knows of job, trigger and deployment counts, not what the agent says of them.
std::string CoreImpl::untrue(const Agent& agent, const protocol::Offer& offer)
{
    Reader& read = writer_.read();
    if (!is_known_for(agent, offer.environment)) return "it is none of an environment that this agent is in";
    if (const auto job = read.job(offer.id.job); job && job->environment != offer.environment) return "its job is one of another environment";
    std::string deployment = offer.deployment;
    for (int i = 0; i < 2; ++i) {  // its own, and that of its trigger, whose notifiers would speak
        const auto known = read.document("Deployment", deployment);
        if (known && known->spec["environment"].as_string() != offer.environment) return "its deployment is one of another environment";
        if (const auto trigger = read.document("Trigger", offer.trigger)) deployment = trigger->spec["deployment"].as_string();
    }
    return {};
}

Result<Active*> CoreImpl::adopt(Agent& agent, const EventBatch& batch)
{
    const auto offer = protocol::parse_offer(batch.offer);
    const std::string wrong = !offer ? offer.error().what : offer->id != batch.id ? "it is another one than it says" : untrue(agent, *offer);
    if (!wrong.empty()) {
        log::warning("core", "agent '{}' says attempt {} again, which cannot be taken: {}", agent.record.name, batch.id.key(), wrong);
        return nullptr;
    }
    if (Active* active = active_of(batch.id.job)) {
        if (active->attempt == batch.id.attempt && active->epoch == batch.id.epoch && active->agent == agent.key) {
            active->doubtful = false;
            return active;
        }
        if (active->attempt >= batch.id.attempt || active->epoch > batch.id.epoch) return nullptr;
        forget_active(*active);   // a later attempt was made in what was lost
    }
    WallTime first = clock_.now();
    for (const EventBatch::Item& item : batch.events)
        if (item.event) {
            first = item.event->time;
            break;
        }
    auto key = writer_.job_key(batch.id.job);
    if (!key && key.error().code != Errc::not_found) return fail(key.error());
    if (!key) key = job_again(agent, *offer, batch.offer, first);
    if (!key) return fail(key.error());
    const auto job = writer_.read().job(batch.id.job);
    if (!job) return fail(job.error());
    if (protocol::is_final(job->state) || job->attempt > batch.id.attempt) return nullptr;
    const auto row = writer_.waiting_job(*key);
    if (!row) return fail(row.error());
    const auto binding = known_binding(row->binding);
    if (!binding) return fail(binding.error());
    board_.remove_ready(*key, row->binding, turn_of(row->priority, row->created));
    if (auto ok = withdraw_questions(*key, "it has started, as its agent says: somebody approved it in what was lost"); !ok) return fail(ok.error());
    std::string token_record;
    if (const auto token = protocol::parse_token(offer->attempt_token); token && token->kind == "attempt")
        token_record = token->id + " " + to_hex(platform::sha256(offer->attempt_token));
    return holds_already(agent, *row, *binding, {*key, batch.id, first, std::move(token_record)}, Json::object({{"saidAgain", true}}));
}

Result<Active*> CoreImpl::holds_already(Agent& agent, const WaitingJob& row, const BindingRef& binding, HeldAlready held, Json detail)
{
    Active active;
    active.job = held.job;
    active.uid = held.id.job;
    active.binding = binding;
    active.priority = row.priority;
    active.attempt = held.id.attempt;
    active.epoch = held.id.epoch;
    active.agent = agent.key;
    active.reloaded = active.named = true;
    active.renewed = clock_.steady();
    active.heard = clock_.now();
    active.created = row.created;
    active.assigned = held.since;
    active.token_record = std::move(held.token_record);
    if (auto ok = writer_.adopt({active.job, active.attempt, active.agent, held.since, active.token_record, active.epoch}); !ok) return fail(ok.error());
    if (auto ok = job_line(held.job, "assigned", held.since, active.attempt, agent.record.name, {}, std::move(detail)); !ok) return fail(ok.error());
    agent.holds.insert(held.job);
    board_.occupy(row.binding, held.job);
    active_uids_[active.uid] = held.job;
    Active& kept = active_.insert_or_assign(held.job, std::move(active)).first->second;
    restore_tokens(kept);
    return &kept;
}

}  // namespace mill::factory::core
