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

#include "agent/at_factory.h"
#include "agent/person/attendance.h"
#include "agent/door.h"
#include "agent/sealed_keys.h"
#include "agent/self/clock_watch.h"
#include "agent/self/control.h"
#include "agent/self/disk_room.h"
#include "agent/self/log_copy.h"
#include "agent/self/pause.h"
#include "agent/self/status.h"
#include "platform/base/log.h"
#include "platform/files.h"
#include "platform/local_http.h"
#include "platform/machine.h"
#include "platform/process.h"
#include "platform/service_host.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr int kTryAgain = 2, kBadConfiguration = 78;
constexpr unsigned kMostWaitAttended = 8;   // somebody works at that machine
constexpr std::chrono::seconds kDrain{10}, kAlive{10}, kLastWord{3}, kReadyAnyway{10};

int exit_status(const Error& error)
{
    log::error("agent", "{}", error.what);
    return is_retryable(error) ? kTryAgain : kBadConfiguration;
}

using Factories = std::vector<std::unique_ptr<AtFactory>>;

/// Those of the data folder that can be served; what keeps others from it goes to `unserved`. Errors: none can.
Result<Factories> open_factories(AtFactory::Machine machine, std::vector<Unserved>& unserved)
{
    const auto ids = served_factories(machine.data_folder, machine.config.factory);
    if (!ids) return fail(ids.error());
    machine.alone = ids->size() == 1;
    Factories out;
    std::optional<Error> first;
    for (const std::string& id : *ids) {
        auto opened = AtFactory::open(machine, id);
        if (opened) {
            out.push_back(std::move(*opened));
            continue;
        }
        if (!machine.alone) log::error("agent", "the factory {} is not served: {}", id, opened.error().what);
        unserved.push_back({id, opened.error().what});
        if (!first) first = std::move(opened.error());
    }
    if (out.empty()) return fail(std::move(*first));
    return out;
}

Milliseconds left_until(SteadyTime limit, const Clock& clock)
{
    return std::max(Milliseconds(0), std::chrono::ceil<Milliseconds>(limit - clock.steady()));
}

/// The fact `credentials`: names of those that this machine holds. "*": there may be more, in a person's keyring, which nobody lists.
Json held_here(const std::vector<std::string>& names, protocol::AgentMode mode)
{
    Json out = Json::array();
    for (const std::string& name : names) out.push(Json(name));
    if (mode == protocol::AgentMode::attended && std::getenv("DBUS_SESSION_BUS_ADDRESS") != nullptr) out.push(Json("*"));
    return out;
}

void stop_in_order(const Leave& leave, Slots& slots, const Factories& factories, const Clock& clock, Runs& runs, Mailbox<Status>& finished)
{
    slots.close();
    for (const auto& factory : factories) factory->nudge();
    runs.post(command::StopAll{leave.why, !leave.finish_jobs});
    std::optional<Status> ended = finished.receive_for(leave.finish_jobs ? leave.within : Milliseconds(kDrain));
    if (!ended && leave.finish_jobs) {
        runs.post(command::StopAll{leave.why, true});
        ended = finished.receive_for(kDrain);
    }
    if (!ended) log::warning("agent", "some jobs did not end in time; the keeper ends them");
    const SteadyTime limit = clock.steady() + kDrain;
    for (const auto& factory : factories) {
        const LogCopy::Of of(factory->identity().factory_id);
        if (!factory->journal().wait_empty(left_until(limit, clock)))
            log::warning("agent", "reports for {} are left on disk; they go out at the next start", factory->identity().factory_url);
    }
}

std::vector<LogCopy::Target> log_targets(const Factories& factories)
{
    std::vector<LogCopy::Target> out;
    for (const auto& factory : factories)
        out.push_back({factory->identity().factory_id, factory->own_log(), [at = factory.get()](const protocol::AttemptId& id) { return at->desk().holds(id) || at->journal().knows(id); }});
    return out;
}

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
    const auto ids = served_factories(options.data_folder, config->factory);
    if (!ids) return fail(ids.error());
    for (const std::string& id : *ids)
        if (auto policy = load_policy(options.data_folder, id); !policy) return fail(std::move(policy.error()));
    return {};
}

void set_pause(Slots& slots, Standing& standing, const Clock& clock, std::optional<Pause> pause)
{
    standing.set_pause(pause);
    if (!pause) return slots.resume();
    std::optional<SteadyTime> until;
    if (pause->until) until = clock.steady() + (*pause->until - clock.now());
    slots.pause(words_of(*pause), until);
}

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
void watch_over(platform::ServiceHost& host, const Clock& clock, const Vitals& vitals, Runs& runs, const Factories& factories, KeySealer& sealer)
{
    bool late = false;
    ClockWatch clocks(clock);
    while (!host.wait_for(kAlive)) {
        if (clocks.look())
            for (const auto& factory : factories) factory->again();
        for (const auto& factory : factories) sealer.look(factory->identity().folder, factory->identity().factory_id);
        const std::vector<std::string> overdue = vitals.overdue();
        // Twice in a row: after a suspend or a SIGCONT every promise is broken for a moment.
        if (overdue.empty() || !std::exchange(late, true)) runs.say_alive();
        else log::error("agent", "these loops do not go on: {}; without a change the keeper starts the agent again, and the jobs go on", fmt::join(overdue, ", "));
        late = !overdue.empty();
    }
}

/// Where people of this machine join with agents of their own; null: nowhere.
std::unique_ptr<platform::LocalServer> serve_people(const Config& config, const Factories& factories, const Clock& clock)
{
    const std::string path = config.sessions.value_or(std::string(kDoorSocket));
    if (path.empty()) return nullptr;
    // The usual place is root's to make (its unit does); whoever says another one means it.
    if (!config.sessions && !platform::may_write(path)) return nullptr;
    std::vector<Door::Factory> list;
    for (const auto& factory : factories)
        if (factory->identity().mode == protocol::AgentMode::unattended)
            list.push_back({factory->identity().factory_url, config.ca_file, [at = factory.get()](const Json& request, int& status) { return at->vouch(request, status); }});
    if (list.empty()) return nullptr;
    auto door = open_door(path, std::make_shared<Door>(std::move(list), clock));
    if (door) return std::move(*door);
    log::warning("sessions", "nobody of this machine joins through this agent: {}", door.error().what);
    return nullptr;
}

}  // namespace

int serve(const ServeOptions& options)
{
    platform::ServiceHost host;
    auto config = load_config(options.config_path, options.data_folder);
    if (!config) return exit_status(config.error());
    log::set_level(config->log_level);
    take_sealed_keys();
    auto lock = lock_data_folder(options.data_folder);
    if (!lock && lock.error().code == Errc::conflict) {
        log::error("agent", "{}", lock.error().what);
        return kTryAgain;
    }
    if (!lock) return exit_status(lock.error());
    const Clock& clock = system_clock();
    const unsigned slot_count = config->slots != 0 ? config->slots : std::clamp(std::thread::hardware_concurrency(), 1U, 16U);
    Vitals vitals(clock);
    Slots slots(slot_count, clock);
    std::vector<Unserved> unserved;
    auto factories = open_factories({options.data_folder, *config, clock, slots, vitals, true, options.config_path}, unserved);
    if (!factories) return exit_status(factories.error());

    const bool attended = std::any_of(factories->begin(), factories->end(), [](const auto& each) { return each->identity().mode == protocol::AgentMode::attended; });
    if (attended) slots.let_wait(kMostWaitAttended);

    Departure departure(host);
    const LogCopy copy(log_targets(*factories));
    log::info("agent", "millwright-agent {} started as process {}", protocol::kProgramVersion, platform::process_number());
    Standing standing;
    const WallTime since = clock.now();
    Ledgers ledgers(*factories);
    const auto pause = [&](std::optional<Pause> wanted) {
        if (auto saved = save_pause(options.data_folder, wanted); !saved) return saved;
        set_pause(slots, standing, clock, std::move(wanted));
        return Status{};
    };
    auto attendance = Attendance::open({options.data_folder, clock, ledgers, [&] { return standing.pause(); }, [&](const Pause& hold) { set_pause(slots, standing, clock, hold); }, pause}, *factories);
    if (!attendance) {
        log::error("agent", "{}", attendance.error().what);
        return kBadConfiguration;
    }
    Attendance* beside = attendance->get();   // null: unattended
    Ledger& ledger = beside != nullptr ? beside->ledger() : static_cast<Ledger&>(ledgers);
    Runs runs(KeeperClient(platform::Channel::from(platform::Handle(3))), ledger, clock, config->warm.value_or(std::min(slot_count, 8U)), [&ledgers](SealRequest request) {
        AtFactory* factory = ledgers.of(request.id);
        return factory != nullptr && factory->seal(std::move(request));
    });
    runs.read_by([&ledgers](ReadRequest request) {
        AtFactory* factory = ledgers.of(request.id);
        return factory != nullptr && factory->read(std::move(request));
    });
    runs.watch(vitals.add("runs"));
    runs.on_asked([&](Runs::Asked asked) {
        if (auto ok = check_settings(options); !ok) return log::warning("agent", "not reloaded, the settings of before stay: {}", ok.error().what);
        departure.ask({.again = true, .why = asked == Runs::Asked::reload ? "reload" : "nothing runs: agent and keeper make way for the new programs"});
    });
    KeySealer sealer([&runs](std::string id, std::string key) { runs.seal_key(std::move(id), std::move(key)); });
    runs.on_sealed([&sealer](const std::string& id, const std::string& why) { sealer.answered(id, why); });
    std::vector<Remembered> remembered;
    for (const auto& factory : *factories)
        for (Remembered& item : factory->remember()) remembered.push_back(std::move(item));
    if (auto done = runs.recover(std::move(remembered), std::chrono::seconds(10)); !done) return exit_status(done.error());

    if (auto paused = load_pause(options.data_folder, clock.now()); !paused) {
        log::error("agent", "{}", paused.error().what);
        slots.pause("paused, and nobody can say by whom: " + paused.error().what, std::nullopt);
    } else if (*paused) {
        log::info("agent", "{}", words_of(**paused));
        set_pause(slots, standing, clock, std::move(*paused));
    }
    if (const std::string& problem = runs.isolation()["problem"].as_string(); !problem.empty()) {
        log::error("agent", "no job can run here: no sandbox: {}", problem);
        slots.disable("no sandbox: " + problem);
    }

    Mailbox<Status> finished(1);
    std::jthread runs_thread([&](std::stop_token stop) {
        Status ended = runs.run(stop);
        finished.send(std::move(ended));
        host.request_stop();
    });
    Json facts = platform::find_facts();
    facts.set("millwright", protocol::kProgramVersion);   // packages may require one
    if (!runs.isolation().is_null()) facts.set("isolation", runs.isolation());  // the keeper knows, who starts the sandboxes
    std::atomic<bool> subscribed = false;
    for (const auto& factory : *factories) {
        Json own = facts;
        own.set("credentials", held_here(runs.credentials(), factory->identity().mode));
        factory->start({[&runs](Command command) { runs.post(std::move(command)); }, std::move(own), [&] {
                            if (subscribed.exchange(true)) return;
                            runs.say_ready("subscribed");
                            std::puts("ready");
                            std::fflush(stdout);
                        },
                        beside != nullptr ? beside->of(*factory) : nullptr});
    }
    if (beside != nullptr) beside->serve([&runs](Command command) {   // on the thread that answers the person: it waits for nobody
        if (!runs.try_post(std::move(command))) log::error("person", "a stop is not passed on: the runs do not take commands");
    });
    if (beside != nullptr) beside->watch();
    // systemd ends a service that is not ready in time, and with it what a person started: a factory that is away is no reason.
    const std::jthread ready_anyway([&](std::stop_token stop) {
        if (clock.sleep(kReadyAnyway, stop) && !subscribed) runs.say_ready("no factory has answered yet");
    });

    const auto status = [&] {
        return status_of({*factories, unserved, options.data_folder, clock, slots, vitals, standing, runs.isolation(), since, beside != nullptr ? beside->about() : Json()});
    };
    ControlPorts ports;
    ports.status = status;
    ports.check_settings = [&] { return check_settings(options); };
    ports.pause = pause;
    ports.leave = [&](Leave leave) { departure.ask(std::move(leave)); };
    ports.check_programs = check_programs;
    ports.renew = [&] { runs.say_renew(); };
    ports.clock = &clock;
    auto control = platform::serve_local_socket(control_path(options.data_folder), control_routes(std::move(ports)));
    if (!control) log::warning("control", "nobody can ask this agent for its status or stop it by `millwright-agent`: {}", control.error().what);
    Result<std::unique_ptr<platform::LocalServer>> metrics(nullptr);
    if (!config->metrics.empty()) metrics = platform::serve_loopback(config->metrics, metrics_routes(status));
    if (!metrics) log::warning("control", "no metrics: {}", metrics.error().what);

    auto door = serve_people(*config, *factories, clock);
    std::jthread room([&](std::stop_token stop) {
        const auto waiting = [&] {
            std::uint64_t bytes = 0;
            for (const auto& factory : *factories) bytes += factory->journal().depth().bytes;
            return bytes;
        };
        watch_room(options.data_folder, *config, waiting, slots, clock, std::move(stop));
    });
    runs.say_alive();
    for (const auto& factory : *factories) sealer.look(factory->identity().folder, factory->identity().factory_id);
    watch_over(host, clock, vitals, runs, *factories, sealer);
    host.stopping();
    // The loop of the runs ends by itself only when the keeper is gone.
    const std::optional<Status> lost = finished.receive_for(Milliseconds(0));
    const Leave leave = departure.asked().value_or(Leave{false, config->finish_jobs, config->finish_jobs ? config->stop_wait : Milliseconds(kDrain), "the agent is stopping"});
    log::info("agent", "leaving: {}", leave.why);
    if (!lost && !leave.again) stop_in_order(leave, slots, *factories, clock, runs, finished);
    if (!lost && !leave.again) {
        const SteadyTime limit = clock.steady() + kLastWord;
        for (const auto& factory : *factories)
            if (factory->own_log() != nullptr) factory->own_log()->wait_empty(left_until(limit, clock));
    }
    if (control) control->reset();
    if (metrics) metrics->reset();
    if (beside != nullptr) beside->close();
    door.reset();
    room.request_stop();
    for (const auto& factory : *factories) factory->stop();
    runs_thread.request_stop();
    runs_thread.join();
    if (lost) {
        log::error("agent", "{}", *lost ? "the keeper is gone" : lost->error().what);
        return kTryAgain;
    }
    if (leave.again) return keeper::kAgain;
    for (const auto& factory : *factories) factory->say_goodbye(leave.why);
    (void)runs.stop_keeper();
    return 0;
}

}  // namespace mill::agent
