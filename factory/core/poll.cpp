#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/crypto.h"
#include "protocol/secret_fields.h"
#include "protocol/token.h"

namespace mill::factory::core {
namespace {

constexpr Milliseconds kOfferAgain{2'000};   // an offer that was not named is not said again sooner
constexpr Milliseconds kRest{1'000};         // after "busy"

/// The same callback, called at most once: a failed commit may answer a poll that its own operation then answers, too.
template <class T>
Done<T> once(Done<T> done)
{
    auto kept = std::make_shared<Done<T>>(std::move(done));
    return [kept](Result<T> result) {
        if (auto call = std::exchange(*kept, nullptr)) call(std::move(result));
    };
}

}  // namespace

std::uint64_t CoreImpl::park(Poll poll, Done<PollAnswer> done)
{
    const std::uint64_t ticket = next_ticket_++;
    auto answer = once(std::move(done));
    Done<Nothing> failed = [answer](Result<Nothing> result) {
        if (!result) answer(fail(result.error()));
    };
    queue_.submit<Nothing>(std::move(failed), [this, ticket, answer, poll = std::move(poll)]() -> Result<Nothing> {
        const auto found = agent_by_id(poll.agent);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        if (agent.record.public_key.empty()) return fail(Errc::denied, fmt::format("agent '{}' was revoked: enrol it again", agent.record.name));
        if (agent.record.frozen) return fail(Errc::denied, fmt::format("agent '{}' is frozen because its key was used twice", agent.record.name));
        if (awaited_.contains(agent.key) && agent.can_repeat && !agent.asked_again)
            return fail(Errc::unavailable, "this store is an older one: open a session, which asks for what ran since");
        end_poll(agent, Error{Errc::conflict, "a newer poll of this agent took the place of this one"});
        if (!poll.session.is_null())
            if (auto ok = desktop_changed(agent, poll.session); !ok) return fail(ok.error());
        for (const JobKey job : agent.holds)   // its user has time to answer: it is not silent meanwhile
            if (Active& active = active_.at(job); active.asking && *active.asking > clock_.now()) active.renewed = clock_.steady();
        heard(agent, poll.heard);
        for (const OfferAnswer& said : poll.answers)
            if (auto ok = answer_offer(agent, said); !ok) return fail(ok.error());
        if (auto ok = come_online(agent); !ok) return fail(ok.error());
        for (const JobKey job : agent.holds) {
            Active& active = active_.at(job);
            if (active.state == protocol::JobState::assigned && !active.named && active.token.empty())
                if (auto ok = fresh_token(active); !ok) return fail(ok.error());
        }
        agent.unable = poll.unable.substr(0, 500);
        agent.next_poll = poll.next;
        agent.knows_doctor = poll.knows_doctor;
        agent.knows_person = poll.knows_person;
        agent.files = poll.files;
        agent.parked = Parked{ticket, answer, clock_.steady() + std::min(poll.wait.value_or(options_.poll), options_.poll), poll.want};
        free_now(agent);
        stirred_.insert(agent.key);
        if (auto ok = dispatch(); !ok) return fail(ok.error());
        return Nothing{};
    });
    return ticket;
}

void CoreImpl::unpark(std::string id, std::uint64_t ticket)
{
    queue_.submit<Nothing>({}, [this, id = std::move(id), ticket]() -> Result<Nothing> {
        const auto found = agent_by_id(id);
        if (!found || !(*found)->parked || (*found)->parked->ticket != ticket) return Nothing{};
        Agent& agent = **found;
        end_poll(agent, Error{Errc::cancelled, "the connection of the poll is gone"});
        agent.gap_until = clock_.steady() + Milliseconds(1'000);   // a reconnect shows as no absence
        return Nothing{};
    });
}

void CoreImpl::free_now(Agent& agent)
{
    const bool rests = agent.rest_until > clock_.steady();
    board_.want(agent.key, agent.parked && !rests ? agent.parked->want : 0);
}

void CoreImpl::end_poll(Agent& agent, Error error)
{
    if (!agent.parked) return;
    const auto done = std::move(agent.parked->done);
    agent.parked.reset();
    agent.gap_until = clock_.steady() + options_.poll_gap + agent.next_poll;
    board_.want(agent.key, 0);
    done(fail(std::move(error)));
}

Status CoreImpl::answer_offer(Agent& agent, const OfferAnswer& said)
{
    Active* active = active_of(said.id.job);
    if (!active || active->agent != agent.key || active->attempt != said.id.attempt || said.id.epoch != active->epoch) return {};
    active->named = true;
    if (said.consent) return hear_consent(agent, *active, said);
    if (active->state != protocol::JobState::assigned) return {};   // it has said that it started: too late for this
    const bool returned_often = active->attempt >= 5;
    if (said.busy || returned_often) agent.rest_until = clock_.steady() + kRest;
    // Of a store of before: it may be known there because it ran to its end, and another attempt would be the second run.
    if (!said.busy && active->doubtful) return end_unknown(*active, said.why);
    return back_to_ready(*active, said.busy ? "busy" : "not_held", said.why);
}

Status CoreImpl::dispatch()
{
    while (true) {
        while (const auto binding = board_.hungry()) {
            const auto first = writer_.first_ready(*binding, dispatch::Board::kKept);
            if (!first) return fail(first.error());
            board_.refill(*binding, *first);
        }
        const auto match = board_.next();
        if (!match) return {};
        if (auto ok = assign(*match); !ok) return ok;
    }
}

Status CoreImpl::assign(const dispatch::Match& match)
{
    FreshJob job;
    const bool fresh = fresh_ && fresh_->key == match.job;
    if (fresh) {
        job = std::move(*fresh_);
        fresh_.reset();
    } else {
        auto row = writer_.waiting_job(match.job);
        if (!row) return fail(row.error());
        job.key = match.job;
        if (!row->input.empty())
            if (auto input = parse_json(row->input); input) job.input = std::move(*input);
        job.row = std::move(*row);
    }
    Agent& agent = agents_.at(match.agent);
    Active active;
    active.job = match.job;
    active.uid = job.row.uid;
    active.binding = bindings_.at(match.binding);
    active.priority = job.row.priority;
    active.attempt = job.row.attempt + 1;
    active.epoch = epoch_;
    active.agent = match.agent;
    active.input = std::move(job.input);
    active.renewed = clock_.steady();
    active.heard = clock_.now();
    active.created = job.row.created;
    active.assigned = clock_.now();
    mint(active);
    if (auto ok = writer_.assign({active.job, active.attempt, active.agent, *active.assigned, active.token_record, active.epoch}); !ok) return ok;
    Json waited = fresh ? Json() : wait_over(active.binding, active.created, *active.assigned);
    if (auto ok = job_line(active.job, "assigned", *active.assigned, active.attempt, agent.record.name, {}, std::move(waited)); !ok) return ok;
    agent.holds.insert(active.job);
    if (active.binding->needs.is_own()) news_for(agent);
    stirred_.insert(agent.key);
    active_uids_[active.uid] = active.job;
    active_.insert_or_assign(match.job, std::move(active));
    return {};
}

void CoreImpl::mint(Active& active)
{
    const protocol::Token token = protocol::make_token("attempt");
    const std::string sha = platform::sha256(token.text);
    active.token = token.text;
    if (!active.token_record.empty()) active.token_record += ';';
    active.token_record += token.id + " " + to_hex(sha);
    restore_tokens(active);
}

void CoreImpl::restore_tokens(const Active& active)
{
    const Binding& b = active.binding->binding;
    const auto agent = agents_.find(active.agent);
    const AttemptAccess access{.id = {active.uid, active.epoch, active.attempt}, .agent = agent == agents_.end() ? "" : agent->second.record.id,
                               .package_digest = b.package_digest, .credentials = b.credentials, .environment = b.environment, .deployment = b.deployment, .permissions = b.permissions};
    std::string_view rest = active.token_record;
    const std::scoped_lock lock(tokens_mutex_);
    while (!rest.empty()) {
        const std::string_view one = rest.substr(0, rest.find(';'));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        const std::size_t space = one.find(' ');
        if (space == std::string_view::npos) continue;
        if (auto sha = from_hex(one.substr(space + 1)); sha) tokens_[std::string(one.substr(0, space))] = {std::move(*sha), access};
    }
}

Status CoreImpl::fresh_token(Active& active)
{
    mint(active);
    return writer_.attempt_token(active.job, active.attempt, active.token_record);
}

Result<AttemptAccess> CoreImpl::attempt_access(std::string_view token_text)
{
    const auto token = protocol::parse_token(token_text);
    if (!token || token->kind != "attempt") return fail(Errc::denied, "this is no attempt token");
    const std::string sha = platform::sha256(token_text);
    const std::scoped_lock lock(tokens_mutex_);
    const auto found = tokens_.find(token->id);
    if (found == tokens_.end() || !platform::equal_constant_time(found->second.sha256, sha))
        return fail(Errc::denied, "the attempt token is not valid: the attempt has ended or never was");
    return found->second.access;
}

/// Assigned by this process, and no poll carried the offer.
bool CoreImpl::unsent(const Active& active) const
{
    return active.state == protocol::JobState::assigned && !active.named && !active.offered && !active.token.empty() && !active.reloaded;
}

bool CoreImpl::offer_due(const Active& active) const
{
    return active.state == protocol::JobState::assigned && !active.named && !active.token.empty() && !on_hold(active.binding->binding.environment) &&
           (!active.offered || clock_.steady() - *active.offered >= kOfferAgain);
}

Result<protocol::Offer> CoreImpl::offer_of(Active& active)
{
    if (!active.input) {
        const auto texts = writer_.job_input(active.job);
        if (!texts) return fail(texts.error());
        active.input = Json();
        if (!texts->first.empty())
            if (auto input = parse_json(texts->first); input) active.input = std::move(*input);
    }
    const KnownBinding& known = *active.binding;
    const Binding& b = known.binding;
    auto signatures = signatures_of(b.package_digest);
    if (!signatures) return fail(signatures.error());
    auto launch = known.needs.bound && !known.needs.bound->pushed ? writer_.launch_of(active.job) : Result<std::string>(std::string());
    if (!launch) return fail(launch.error());
    return protocol::Offer{.id = {active.uid, active.epoch, active.attempt}, .package_name = b.package_name, .package_version = b.package_version,
                           .package_digest = b.package_digest, .signatures = std::move(*signatures), .workflow = b.workflow, .deployment = b.deployment, .environment = b.environment,
                           .trigger = b.trigger, .launch = std::move(*launch), .input = *active.input,
                           .secret_input = known.secrets.is_null() ? std::vector<std::string>() : protocol::secret_places(known.secrets, *active.input), .variables = b.variables, .credentials = b.credentials,
                           .permissions = known.permissions, .run_as = board_.environment(b.environment).run_as, .repeatable = b.repeatable, .trace = b.rules["trace"].as_bool(), .attempt_token = active.token, .lease = options_.lease};
}

/// After a commit: gives the parked poll what there is for it.
void CoreImpl::answer_poll(Agent& agent, bool even_if_empty)
{
    if (!agent.parked) return;
    PollAnswer answer;
    for (const JobKey job : agent.holds) {
        Active& active = active_.at(job);
        if (active.cancel && !active.cancel_sent) {
            answer.cancels.push_back({{active.uid, active.epoch, active.attempt}, active.cancel->by, active.cancel->why});
            active.cancel_sent = true;
        }
        add_answers(active, answer);
        if (!offer_due(active)) continue;
        auto offer = offer_of(active);
        if (!offer) {
            log::error("core", "job {}: its offer cannot be made: {}", active.uid, offer.error().what);
            continue;
        }
        Json consent;
        if (asks_first(agent, *active.binding)) {
            auto words = consent_of(active);
            if (!words) {
                log::error("core", "job {}: what its agent's user is to be asked cannot be said: {}", active.uid, words.error().what);
                continue;
            }
            consent = std::move(*words);
        }
        answer.consents.push_back(std::move(consent));
        active.offered = active.renewed = clock_.steady();
        active.heard = clock_.now();
        answer.offers.push_back(std::move(*offer));
    }
    if (!answer.offers.empty()) answer.revoked = revoked_keys();
    answer.drop = std::exchange(agent.drops, {});
    answer.doctor = doctor_due(agent);
    answer.person = news_due(agent);
    answer.files = files_due(agent);
    if (!even_if_empty && answer.offers.empty() && answer.cancels.empty() && answer.answered.empty() && answer.drop.empty() && answer.doctor.empty() && answer.files.is_null() && answer.person == 0) return;
    const auto done = std::move(agent.parked->done);
    agent.parked.reset();
    agent.gap_until = clock_.steady() + options_.poll_gap + agent.next_poll;
    board_.want(agent.key, 0);
    done(std::move(answer));
}

}  // namespace mill::factory::core
