#include "agent/at_factory.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "agent/metric_reader.h"
#include "agent/sealed_fetcher.h"
#include "agent/self/log_copy.h"
#include "platform/fingerprint.h"
#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr unsigned kFetchers = 2;
constexpr std::size_t kMostFetches = 256, kMostSeals = 4096, kMostReads = 256;

}  // namespace

Result<std::unique_ptr<AtFactory>> AtFactory::open(const Machine& machine, const std::string& factory_id)
{
    auto identity = load_identity(machine.data_folder, factory_id);
    if (!identity) return fail(std::move(identity.error()));
    auto policy = load_policy(machine.data_folder, factory_id);
    if (!policy) return fail(std::move(policy.error()));
    auto journal = Journal::open(identity->folder + "/journal", machine.clock);
    if (!journal) return fail(std::move(journal.error()));
    return std::unique_ptr<AtFactory>(new AtFactory(machine, std::move(*identity), std::move(*policy), std::move(*journal)));
}

AtFactory::AtFactory(const Machine& machine, Identity identity, Policy policy, std::unique_ptr<Journal> journal)
    : machine_(machine), identity_(std::move(identity)), policy_(std::move(policy)), person_rules_(policy_.person), journal_(std::move(journal)), desk_(machine.slots),
      tokens_(identity_, machine.config, machine.clock), for_link_(identity_, machine.config, tokens_), for_uplink_(identity_, machine.config, tokens_),
      for_lease_(identity_, machine.config, tokens_), for_log_(identity_, machine.config, tokens_), for_person_(identity_, machine.config, tokens_), for_questions_(identity_, machine.config, tokens_),
      for_files_(identity_, machine.config, tokens_), for_sessions_(identity_, machine.config, tokens_), questions_(for_questions_, machine.clock, [this](Command command) { tell_runs_(std::move(command)); }),
      waiting_(identity_.folder + "/waiting"), ledger_(*journal_, desk_, questions_, waiting_), fetches_(kMostFetches),
      starts_here_({machine_.data_folder, *journal_, desk_, questions_, fetches_, machine_.clock, [this](const protocol::Offer& offer) { return admit(offer); }, [this](Command command) { tell_runs_(std::move(command)); }}),
      seals_(kMostSeals), reads_(kMostReads),
      rounds_({machine.data_folder, machine.config_path, true, identity_.factory_id}, identity_, machine.config, tokens_), files_({identity_.folder, policy_.watch, machine.clock, for_files_})
{
    questions_.hold_back([this](const protocol::AttemptId& id) { return journal_->is_withheld(id); });
    auto own_log = OwnLog::open(identity_.folder + "/log", machine.clock);
    if (own_log) own_log_ = std::move(*own_log);
    else log::warning("log", "the factory {} does not get this log: {}", identity_.factory_url, own_log.error().what);
}

AtFactory::~AtFactory() { stop(); }

Result<protocol::Permissions> AtFactory::admit(const protocol::Offer& offer) const
{
    const std::scoped_lock lock(policy_mutex_);
    return policy_.admit(offer);
}

Vitals::Loop& AtFactory::loop(std::string name)
{
    return machine_.vitals.add(std::move(name), machine_.alone ? std::string() : identity_.factory_url);
}

std::vector<Remembered> AtFactory::remember()
{
    std::vector<Remembered> out;
    for (const Journal::Held& held : journal_->held()) {
        Remembered item;
        item.started = held.stage != Stage::taken;
        item.ended = held.stage == Stage::ended;
        item.started_at = held.started;
        item.last_sequence = held.last_sequence;
        auto json = parse_json(held.offer);
        auto offer = json ? protocol::parse_offer(*json) : Result<protocol::Offer>(fail(Errc::corrupt, "no offer"));
        if (offer) {
            if (!offer->attempt_token.empty()) redact_in_log(offer->attempt_token);
            const bool begun_here = !offer->terms.empty() && held.acknowledged == 0;   // the factory may not have been told yet
            if (begun_here) journal_->withhold(held.id);
            auto grants = policy_.admit(*offer);
            protocol::Permissions none;  // the policy was tightened meanwhile: no further effect
            none.limits = offer->permissions.limits;
            item.spec = spec_of(*offer, grants ? *grants : none, machine_.config);
            auto kept = item.started && !item.ended && grants ? waiting_.find(held.id) : std::nullopt;
            if (kept && kept->after == held.last_sequence) {
                item.spec.snapshot = kept->snapshot;
                going_on_.push_back({*offer, *grants, offer->repeatable && !begun_here ? std::optional(machine_.clock.steady() + offer->lease / 2) : std::nullopt, std::move(kept->snapshot), held.last_sequence});
            }
        }
        if (item.spec.snapshot.is_null()) (void)waiting_.forget(held.id);   // nobody goes on from it
        item.spec.id = held.id;
        // When it was renewed last is not known: half of a lease is left at least, and the first renewal says more.
        const bool begun_here = journal_->is_withheld(held.id);
        if (offer && offer->repeatable && !begun_here) item.lease_end = machine_.clock.steady() + offer->lease / 2;
        desk_.keep({held.id, item.spec.repeatable, offer ? offer->lease : Milliseconds(60'000), !item.spec.snapshot.is_null(), begun_here});
        out.push_back(std::move(item));
    }
    return out;
}

void AtFactory::start(Runtime runtime)
{
    // Nobody speaks of an attempt but the factory that it came from.
    const auto tell = [this, person = runtime.person, to_runs = std::move(runtime.tell)](Command command) {
        if (person != nullptr && withdraw(*person, command, to_runs)) return;
        const auto* cancel = std::get_if<command::Cancel>(&command);
        const auto* drop = std::get_if<command::Drop>(&command);
        if (const protocol::AttemptId* id = cancel != nullptr ? &cancel->id : drop != nullptr ? &drop->id : nullptr; id != nullptr && !desk_.holds(*id)) return;
        to_runs(std::move(command));
    };
    tell_runs_ = tell;
    runtime.facts.set("policy", to_json(policy_.signing));   // the factory can say beforehand what is refused here
    lease_ = std::make_unique<Lease>(desk_, for_lease_, machine_.clock, tell);
    lease_->watch(loop("lease"));
    uplink_ = std::make_unique<Uplink>(*journal_, for_uplink_, [tell](const protocol::AttemptId& id, const std::string& word) {
        tell(command::Drop{id, "the factory says this attempt is " + word});
    });
    uplink_->watch(loop("uplink"));
    const auto subscribed = [this, told = std::move(runtime.subscribed)](const Terms& terms) {
        lease_->set_period(terms.renew);
        {
            const std::scoped_lock lock(mutex_);
            terms_ = terms;
        }
        log::info("link", "subscribed at {} as {} with {} slots", identity_.factory_url, identity_.name, desk_.slots());
        told();
    };
    link_ = std::make_unique<Link>(Link::Parts{identity_, policy_, machine_.clock, tokens_, for_link_, *journal_, desk_, fetches_, tell, subscribed, std::move(runtime.facts),
                                               &loop("link"), machine_.config.subscribe ? std::nullopt : std::optional(machine_.config.poll_interval),
                                               [this, tell](const std::set<std::string>& keys) { revoke(keys, tell); },
                                               [this](const std::string& id) { rounds_.begin(id); }, &questions_, runtime.person,
                                               [this] { return files_.version(); }, [this](const Json& list) { files_.set(list); }});
    desk_.set_on_change([this] { link_->nudge(); });
    questions_.set_on_heard([this] { link_->nudge(); });

    const auto begin = [this](auto work) {
        threads_.emplace_back([this, work = std::move(work)](std::stop_token stop) {
            const LogCopy::Of of(identity_.factory_id);
            work(std::move(stop));
        });
    };
    for (unsigned i = 0; i < kFetchers; ++i)
        begin([this, tell](std::stop_token stop) {
            Fetcher(Packages(machine_.data_folder, identity_, machine_.config), fetches_, machine_.config, machine_.clock, tell).run(std::move(stop));
        });
    for (Fetch& each : std::exchange(going_on_, {})) (void)fetches_.send(std::move(each));   // taken from by now: it may be more than the box holds
    begin([this, tell](std::stop_token stop) { SealedFetcher(identity_, machine_.config, seals_, tell).run(std::move(stop)); });
    begin([this](std::stop_token stop) { questions_.run(std::move(stop)); });
    begin([this, tell](std::stop_token stop) { MetricReader(identity_, machine_.config, reads_, tell).run(std::move(stop)); });
    begin([this](std::stop_token stop) { uplink_->run(std::move(stop)); });
    begin([this](std::stop_token stop) { lease_->run(std::move(stop)); });
    if (runtime.person == nullptr)   // nobody is beside this agent any more, and nobody else tells of it
        for (const Journal::Held& held : journal_->withheld()) {
            log::warning("person", "{}: it began here while the factory was away, which is not told any more: nobody is beside this agent", held.id.key());
            starts_here_.refuse(held.id, "nobody is beside this agent any more");
        }
    if (runtime.person != nullptr)
        begin([this, person = runtime.person, &vital = loop("person")](std::stop_token stop) { person->run(for_person_, vital, std::move(stop)); });
    if (own_log_) begin([this, &vital = loop("log")](std::stop_token stop) { ship_log(*own_log_, for_log_, machine_.clock, vital, std::move(stop)); });
    begin([this, &vital = loop("files")](std::stop_token stop) { files_.run(std::move(stop), &vital); });
    begin([this](std::stop_token stop) { link_->run(std::move(stop)); });
}

bool AtFactory::withdraw(AtPerson& person, const Command& command, const std::function<void(Command)>& to_runs)
{
    const auto* cancel = std::get_if<command::Cancel>(&command);
    const auto* drop = std::get_if<command::Drop>(&command);
    if (cancel == nullptr && drop == nullptr) return false;
    const protocol::AttemptId id = cancel != nullptr ? cancel->id : drop->id;
    const auto offer = person.withdrawn(id);
    if (!offer) return false;
    if (drop != nullptr) {
        desk_.release(id);
        return true;
    }
    to_runs(command::Take{id, dump_json(*offer)});
    to_runs(command::End{id, {protocol::JobState::cancelled, protocol::Reason::cancelled_by, cancel->why, Json::object({{"by", cancel->by}})}});
    return true;
}

void AtFactory::revoke(const std::set<std::string>& keys, const std::function<void(Command)>& tell)
{
    std::set<std::string> prints;
    for (const std::string& key : keys) prints.insert(platform::fingerprint(key));
    // It is said with every offer.
    if (revoked_kept_ && std::includes(policy_.signing.revoked.begin(), policy_.signing.revoked.end(), prints.begin(), prints.end())) return;
    const auto fresh = keep_revoked(identity_.folder, keys);
    revoked_kept_ = fresh.has_value();
    if (!fresh) log::error("policy", "keys that {} says were revoked are refused until this agent ends, and could not be written down: {}", identity_.factory_url, fresh.error().what);
    {
        const std::scoped_lock lock(policy_mutex_);
        policy_.revoke(prints);
    }
    if (!fresh || fresh->empty()) return;
    for (const std::string& key : *fresh) log::warning("policy", "the key {} of a publisher was revoked: no package starts by its signature any more", platform::fingerprint(key));
    tell(command::Flush{});
}

void AtFactory::stop()
{
    desk_.set_on_change({});
    questions_.set_on_heard({});
    for (std::jthread& thread : threads_) thread.request_stop();
    threads_.clear();
    rounds_.stop();
}

Result<Json> AtFactory::vouch(const Json& request, int& status)
{
    Refusal refusal;
    auto said = for_sessions_.post(protocol::route::kSessions, dump_json(request), std::chrono::seconds(8), {}, &refusal);
    status = refusal.status;
    if (!said && refusal.status == 404 && refusal.name == "unknown_route") return fail(Errc::invalid, fmt::format("the factory {} is older than this agent: nobody joins through a machine's agent there", identity_.factory_url));
    if (said) said->set("factoryKey", to_base64(identity_.factory_key));   // as this machine has pinned it
    return said;
}

void AtFactory::say_goodbye(const std::string& why)
{
    (void)for_link_.post(protocol::route::kGoodbye, dump_json(Json::object({{"why", why}})), std::chrono::seconds(2), {});
}

std::optional<Terms> AtFactory::terms() const
{
    const std::scoped_lock lock(mutex_);
    return terms_;
}

AtFactory* Ledgers::of(const protocol::AttemptId& id) const
{
    for (const auto& factory : factories_)
        if (factory->desk().holds(id)) return factory.get();
    return nullptr;
}

namespace {

Status nobodys(const protocol::AttemptId& id)
{
    return fail(Errc::internal, "no factory of this agent has the attempt " + id.key());
}

}  // namespace

Status Ledgers::taken(const protocol::AttemptId& id, const std::string& offer)
{
    AtFactory* factory = of(id);
    return factory != nullptr ? factory->ledger().taken(id, offer) : nobodys(id);
}

Status Ledgers::started(const protocol::AttemptId& id, const protocol::Event& running, SteadyTime now)
{
    AtFactory* factory = of(id);
    return factory != nullptr ? factory->ledger().started(id, running, now) : nobodys(id);
}

Status Ledgers::event(const protocol::AttemptId& id, const protocol::Event& event)
{
    AtFactory* factory = of(id);
    return factory != nullptr ? factory->ledger().event(id, event) : nobodys(id);
}

Status Ledgers::sync()
{
    Status out;
    for (const auto& factory : factories_)
        if (auto done = factory->ledger().sync(); !done) out = std::move(done);
    return out;
}

void Ledgers::ask(const protocol::AttemptId& id, const Json& ask)
{
    if (AtFactory* factory = of(id); factory != nullptr) factory->ledger().ask(id, ask);
}

void Ledgers::unask(const protocol::AttemptId& id, const std::string& question, const std::string& why)
{
    if (AtFactory* factory = of(id); factory != nullptr) factory->ledger().unask(id, question, why);
}

/// Also of an attempt that nobody holds any more: whichever factory says it again hears that it need not.
void Ledgers::heard(const protocol::AttemptId& id, const std::string& question)
{
    AtFactory* held = of(id);
    for (const auto& factory : factories_)
        if (held == nullptr || factory.get() == held) factory->ledger().heard(id, question);
}

void Ledgers::told(const protocol::AttemptId& id, const protocol::Event& event)
{
    if (AtFactory* factory = of(id); factory != nullptr) factory->ledger().told(id, event);
}

void Ledgers::waits(const protocol::AttemptId& id, bool waits)
{
    if (AtFactory* factory = of(id); factory != nullptr) factory->ledger().waits(id, waits);
}

Status Ledgers::keep(const protocol::AttemptId& id, std::uint64_t after, const Json& snapshot)
{
    AtFactory* factory = of(id);
    return factory != nullptr ? factory->ledger().keep(id, after, snapshot) : nobodys(id);
}

void Ledgers::not_held(const protocol::AttemptId& id, const std::string& why)
{
    if (AtFactory* factory = of(id); factory != nullptr) factory->ledger().not_held(id, why);
}

void Ledgers::released(const protocol::AttemptId& id)
{
    if (AtFactory* factory = of(id); factory != nullptr) factory->ledger().released(id);
}

}  // namespace mill::agent
