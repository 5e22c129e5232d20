#include "agent/app.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agent/fetcher.h"
#include "agent/journal_ledger.h"
#include "agent/lease.h"
#include "agent/link.h"
#include "agent/sealed_fetcher.h"
#include "agent/self/control.h"
#include "agent/self/own_log.h"
#include "agent/self/pause.h"
#include "agent/self/status.h"
#include "agent/uplink.h"
#include "platform/base/log.h"
#include "platform/base/log_sink.h"
#include "platform/base/redact.h"
#include "platform/files.h"
#include "platform/local_http.h"
#include "platform/machine.h"
#include "platform/process.h"
#include "platform/service_host.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr int kTryAgain = 2, kBadConfiguration = 78;
constexpr std::chrono::seconds kDrain{10}, kAlive{10}, kLastWord{3};
constexpr unsigned kFetchers = 2;
constexpr std::size_t kMaxSeals = 4096;

int exit_status(const Error& error)
{
    log::error("agent", "{}", error.what);
    return is_retryable(error) ? kTryAgain : kBadConfiguration;
}

Result<Identity> choose_identity(const std::string& data_folder, const Config& config)
{
    auto ids = enrolled_factories(data_folder);
    if (!ids) return fail(std::move(ids.error()));
    if (ids->empty())
        return fail(Errc::invalid, fmt::format("{} is not enrolled at a factory: millwright-agent enrol --data {} --factory URL --code CODE",
                                               data_folder, data_folder));
    if (config.factory.empty() && ids->size() > 1)
        return fail(Errc::invalid, fmt::format("{} is enrolled at {} factories; say in config.yaml which one to serve: 'factory: {}'",
                                               data_folder, ids->size(), ids->front()));
    return load_identity(data_folder, config.factory.empty() ? ids->front() : config.factory);
}

/// What the journal holds, as the runs need it.
std::vector<Remembered> remember(const Journal& journal, const Policy& policy, const Config& config, Desk& desk)
{
    std::vector<Remembered> out;
    for (const Journal::Held& held : journal.held()) {
        Remembered item;
        item.started = held.stage != Stage::taken;
        item.ended = held.stage == Stage::ended;
        item.started_at = held.started;
        item.last_sequence = held.last_sequence;
        auto json = parse_json(held.offer);
        auto offer = json ? protocol::parse_offer(*json) : Result<protocol::Offer>(fail(Errc::corrupt, "no offer"));
        if (offer) {
            redact_in_log(offer->attempt_token);
            auto grants = policy.admit(*offer);
            protocol::Permissions none;  // the policy was tightened meanwhile: no further effect
            none.limits = offer->permissions.limits;
            item.spec = spec_of(*offer, grants ? *grants : none, config);
        }
        item.spec.id = held.id;
        // When it was renewed last is not known: half of a lease is left at least, and the first renewal says more.
        if (offer && offer->repeatable) item.lease_end = system_clock().steady() + offer->lease / 2;
        desk.keep({held.id, item.spec.repeatable, offer ? offer->lease : Milliseconds(60'000)});
        out.push_back(std::move(item));
    }
    return out;
}

/// The fact `credentials`: names of those that this machine holds. "*": there may be more, in a person's keyring, which nobody lists.
Json held_here(const std::vector<std::string>& names, protocol::AgentMode mode)
{
    Json out = Json::array();
    for (const std::string& name : names) out.push(Json(name));
    if (mode == protocol::AgentMode::attended && std::getenv("DBUS_SESSION_BUS_ADDRESS") != nullptr) out.push(Json("*"));
    return out;
}

void stop_in_order(const Leave& leave, Desk& desk, Link& link, Runs& runs, Mailbox<Status>& finished, Journal& journal)
{
    desk.close();
    link.nudge();
    runs.post(command::StopAll{leave.why, !leave.finish_jobs});
    std::optional<Status> ended = finished.receive_for(leave.finish_jobs ? leave.within : Milliseconds(kDrain));
    if (!ended && leave.finish_jobs) {
        runs.post(command::StopAll{leave.why, true});
        ended = finished.receive_for(kDrain);
    }
    if (!ended) log::warning("agent", "some jobs did not end in time; the keeper ends them");
    if (!journal.wait_empty(Milliseconds(kDrain))) log::warning("agent", "reports are left on disk; they go out at the next start");
}

/// As long as it lives, the program's log lines go to `own_log`, too.
class LogCopy {
public:
    explicit LogCopy(OwnLog* own_log)
    {
        if (own_log != nullptr) log::set_sink([own_log](log::Level level, std::string_view room, std::string_view text) { own_log->take(level, room, text); });
    }
    LogCopy(const LogCopy&) = delete;
    LogCopy& operator=(const LogCopy&) = delete;
    ~LogCopy() { log::set_sink({}); }
};

/// How the program is to end: asked for on several threads, done by the main one.
class Departure {
public:
    explicit Departure(platform::ServiceHost& host) : host_(host) {}
    /// The first one counts.
    void ask(Leave leave)
    {
        {
            const std::scoped_lock lock(mutex_);
            if (!leave_) leave_ = std::move(leave);
        }
        host_.request_stop();
    }
    std::optional<Leave> asked() const
    {
        const std::scoped_lock lock(mutex_);
        return leave_;
    }

private:
    platform::ServiceHost& host_;
    mutable std::mutex mutex_;
    std::optional<Leave> leave_;
};

Status check_settings(const ServeOptions& options)
{
    auto config = load_config(options.config_path, options.data_folder);
    if (!config) return fail(std::move(config.error()));
    if (auto files = check_files(*config); !files) return files;
    if (auto policy = load_policy(options.data_folder); !policy) return fail(std::move(policy.error()));
    return {};
}

void set_pause(Desk& desk, Standing& standing, const Clock& clock, std::optional<Pause> pause)
{
    standing.set_pause(pause);
    if (!pause) return desk.resume();
    std::optional<SteadyTime> until;
    if (pause->until) until = clock.steady() + (*pause->until - clock.now());
    desk.pause(words_of(*pause), until);
}

/// What happened to this machine's clocks since the last look: a suspend moves the one that counts sleep, somebody's hand (or NTP) the one on the wall.
class ClockWatch {
public:
    explicit ClockWatch(const Clock& clock) : clock_(clock), slept_(slept()), wall_(wall()) {}
    /// True after a suspend: what was open is stale.
    bool look()
    {
        const Microseconds slept_now = slept(), wall_now = wall();
        const Microseconds sleep = slept_now - slept_, jump = wall_now - wall_;
        slept_ = slept_now;
        wall_ = wall_now;
        if (sleep > kJump) log::info("clock", "this machine slept for {} until {}", format_duration(std::chrono::floor<std::chrono::seconds>(sleep)), format_time(clock_.now()));
        if (jump > kJump || jump < -kJump)
            log::warning("clock", "the clock on the wall was set {} by {}; leases and deadlines do not follow it", jump.count() > 0 ? "forward" : "back",
                         format_duration(std::chrono::floor<std::chrono::seconds>(std::chrono::abs(jump))));
        return sleep > kJump;
    }

private:
    static constexpr std::chrono::seconds kJump{2};
    Microseconds slept() const
    {
        return Microseconds(clock_.steady().microseconds) - std::chrono::duration_cast<Microseconds>(std::chrono::steady_clock::now().time_since_epoch());
    }
    Microseconds wall() const { return Microseconds(clock_.now().microseconds - clock_.steady().microseconds); }
    const Clock& clock_;
    Microseconds slept_, wall_;
};

/// A program that does not even say its version would end the service instead of renewing it.
Status check_programs()
{
    for (const char* name : {"millwright-agent", "millwright-keeper", "millwright-broker", "millwright-runner"}) {
        platform::ProcessSpec spec;
        spec.program = platform::sibling_program(name);
        spec.arguments = {"--version"};
        spec.environment = platform::environment_for_children();
        auto ran = platform::run_process(spec, "", 4096, std::chrono::seconds(5));
        if (!ran) return fail(spec.program, std::move(ran.error()));
        if (ran->ending.exit_code != 0 || ran->ending.signal != 0 || !ran->out.starts_with(name))
            return fail(Errc::invalid, fmt::format("{} --version does not answer as it should: install it again", spec.program));
    }
    return {};
}

/// Until a stop is requested. Each turn that every loop kept its promise the keeper is told that the agent lives; else it is not, and acts.
void watch_over(platform::ServiceHost& host, const Clock& clock, const Vitals& vitals, Runs& runs, Link& link)
{
    bool late = false;
    ClockWatch clocks(clock);
    while (!host.wait_for(kAlive)) {
        if (clocks.look()) link.again();
        const std::vector<std::string> overdue = vitals.overdue();
        // Twice in a row: after a suspend or a SIGCONT every promise is broken for a moment.
        if (overdue.empty() || !std::exchange(late, true)) runs.say_alive();
        else log::error("agent", "these loops do not go on: {}; without a change the keeper starts the agent again, and the jobs go on", fmt::join(overdue, ", "));
        late = !overdue.empty();
    }
}

}  // namespace

int serve(const ServeOptions& options)
{
    platform::ServiceHost host;
    auto config = load_config(options.config_path, options.data_folder);
    if (!config) return exit_status(config.error());
    log::set_level(config->log_level);
    auto lock = lock_data_folder(options.data_folder);
    if (!lock && lock.error().code == Errc::conflict) {
        log::error("agent", "{}", lock.error().what);
        return kTryAgain;
    }
    if (!lock) return exit_status(lock.error());
    auto policy = load_policy(options.data_folder);
    if (!policy) return exit_status(policy.error());
    auto identity = choose_identity(options.data_folder, *config);
    if (!identity) return exit_status(identity.error());
    const Clock& clock = system_clock();
    auto journal = Journal::open(identity->folder + "/journal", clock);
    if (!journal) return exit_status(journal.error());

    Departure departure(host);
    Vitals vitals(clock);
    auto own_log = OwnLog::open(identity->folder + "/log", clock);
    if (!own_log) log::warning("log", "the factory does not get this log: {}", own_log.error().what);
    const LogCopy copy(own_log ? own_log->get() : nullptr);
    log::info("agent", "millwright-agent {} started as process {}, for {}", protocol::kProgramVersion, platform::process_number(), identity->name);
    Standing standing;
    const WallTime since = clock.now();
    const unsigned slots = config->slots != 0 ? config->slots : std::clamp(std::thread::hardware_concurrency(), 1U, 16U);
    Desk desk(slots, clock);
    JournalLedger ledger(**journal, desk);
    Mailbox<SealRequest> seals(kMaxSeals);
    Runs runs(KeeperClient(platform::Channel::from(platform::Handle(3))), ledger, clock, config->warm.value_or(std::min(slots, 8U)),
              [&seals](SealRequest request) { return seals.try_send(std::move(request)); });
    runs.watch(vitals.add("runs"));
    runs.on_asked([&](Runs::Asked asked) {
        if (auto ok = check_settings(options); !ok) return log::warning("agent", "not reloaded, the settings of before stay: {}", ok.error().what);
        departure.ask({.again = true, .why = asked == Runs::Asked::reload ? "reload" : "nothing runs: agent and keeper make way for the new programs"});
    });
    const auto tell = [&runs](Command command) { runs.post(std::move(command)); };
    if (auto done = runs.recover(remember(**journal, *policy, *config, desk), std::chrono::seconds(10)); !done) return exit_status(done.error());

    Tokens tokens(*identity, *config, clock);
    FactoryClient for_link(*identity, *config, tokens), for_uplink(*identity, *config, tokens), for_lease(*identity, *config, tokens), for_log(*identity, *config, tokens);
    Mailbox<Fetch> fetches(256);
    Lease lease(desk, for_lease, clock, tell);
    Uplink uplink(**journal, for_uplink, [&tell](const protocol::AttemptId& id, const std::string& word) {
        tell(command::Drop{id, "the factory says this attempt is " + word});
    });
    lease.watch(vitals.add("lease"));
    uplink.watch(vitals.add("uplink"));
    Json facts = platform::find_facts();
    if (!runs.isolation().is_null()) facts.set("isolation", runs.isolation());  // the keeper knows, who starts the sandboxes
    facts.set("credentials", held_here(runs.credentials(), identity->mode));
    bool said_ready = false;
    Link link({*identity, *policy, clock, tokens, for_link, **journal, desk, fetches, tell,
               [&](const Terms& terms) {
                   lease.set_period(terms.renew);
                   standing.set_terms(terms);
                   log::info("link", "subscribed at {} as {} with {} slots", identity->factory_url, identity->name, desk.slots());
                   if (std::exchange(said_ready, true)) return;
                   runs.say_ready("subscribed");
                   std::puts("ready");
                   std::fflush(stdout);
               },
               std::move(facts), &vitals.add("link"), config->subscribe ? std::nullopt : std::optional(config->poll_interval)});
    if (auto paused = load_pause(options.data_folder, clock.now()); !paused) {
        log::error("agent", "{}", paused.error().what);
        desk.pause("paused, and nobody can say by whom: " + paused.error().what, std::nullopt);
    } else if (*paused) {
        log::info("agent", "{}", words_of(**paused));
        set_pause(desk, standing, clock, std::move(*paused));
    }
    desk.set_on_change([&link] { link.nudge(); });

    if (const std::string& problem = runs.isolation()["problem"].as_string(); !problem.empty()) {
        log::error("agent", "no job can run here: no sandbox: {}", problem);
        desk.disable("no sandbox: " + problem);
    }

    Mailbox<Status> finished(1);
    std::jthread runs_thread([&](std::stop_token stop) {
        Status ended = runs.run(stop);
        finished.send(std::move(ended));
        host.request_stop();
    });
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < kFetchers; ++i)
        threads.emplace_back([&](std::stop_token stop) {
            Fetcher(Packages(options.data_folder, *identity, *config), fetches, *config, clock, tell).run(stop);
        });
    threads.emplace_back([&](std::stop_token stop) { SealedFetcher(*identity, *config, seals, tell).run(stop); });
    threads.emplace_back([&](std::stop_token stop) { uplink.run(stop); });
    threads.emplace_back([&](std::stop_token stop) { lease.run(stop); });
    if (own_log) threads.emplace_back([&, &loop = vitals.add("log")](std::stop_token stop) { ship_log(**own_log, for_log, clock, loop, stop); });
    threads.emplace_back([&](std::stop_token stop) { link.run(stop); });

    const auto status = [&] { return status_of({*identity, options.data_folder, clock, desk, **journal, vitals, standing, runs.isolation(), since}); };
    ControlPorts ports;
    ports.status = status;
    ports.check_settings = [&] { return check_settings(options); };
    ports.pause = [&](std::optional<Pause> pause) {
        if (auto saved = save_pause(options.data_folder, pause); !saved) return saved;
        set_pause(desk, standing, clock, std::move(pause));
        return Status{};
    };
    ports.leave = [&](Leave leave) { departure.ask(std::move(leave)); };
    ports.check_programs = check_programs;
    ports.renew = [&] { runs.say_renew(); };
    ports.clock = &clock;
    auto control = platform::serve_local_socket(control_path(options.data_folder), control_routes(std::move(ports)));
    if (!control) log::warning("control", "nobody can ask this agent for its status or stop it by `millwright-agent`: {}", control.error().what);
    Result<std::unique_ptr<platform::LocalServer>> metrics(nullptr);
    if (!config->metrics.empty()) metrics = platform::serve_loopback(config->metrics, metrics_routes(status));
    if (!metrics) log::warning("control", "no metrics: {}", metrics.error().what);

    runs.say_alive();
    watch_over(host, clock, vitals, runs, link);
    host.stopping();
    // The loop of the runs ends by itself only when the keeper is gone.
    const std::optional<Status> lost = finished.receive_for(Milliseconds(0));
    const Leave leave = departure.asked().value_or(Leave{false, config->finish_jobs, config->finish_jobs ? config->stop_wait : Milliseconds(kDrain), "the agent is stopping"});
    log::info("agent", "leaving: {}", leave.why);
    if (!lost && !leave.again) stop_in_order(leave, desk, link, runs, finished, **journal);
    if (own_log && !lost && !leave.again) (*own_log)->wait_empty(kLastWord);
    if (control) control->reset();
    if (metrics) metrics->reset();
    desk.set_on_change({});
    for (std::jthread& thread : threads) thread.request_stop();
    threads.clear();
    runs_thread.request_stop();
    runs_thread.join();
    if (lost) {
        log::error("agent", "{}", *lost ? "the keeper is gone" : lost->error().what);
        return kTryAgain;
    }
    if (leave.again) return keeper::kAgain;
    (void)for_link.post(protocol::route::kGoodbye, dump_json(Json::object({{"why", leave.why}})), std::chrono::seconds(2), {});
    (void)runs.stop_keeper();
    return 0;
}

}  // namespace mill::agent
