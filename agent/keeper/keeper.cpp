#include "agent/keeper/keeper.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "platform/base/log.h"
#include "platform/files.h"
#include "platform/privileges.h"

namespace mill::keeper {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using platform::Handle;

constexpr auto kStopGrace = 30s;   // for the agent: it drains its journal for at most 10 s
constexpr auto kLook = 1s;         // how often limits are looked at while something runs

platform::ProcessSpec program(const Settings& settings, const std::string& name, const char* user)
{
    platform::ProcessSpec spec;
    spec.program = settings.folder + "/" + name;
    spec.environment = platform::environment_for_children();
    spec.inherit_output = true;
    if (const auto found = platform::is_root() && !settings.once ? platform::find_user(user) : std::nullopt) {
        spec.uid = found->uid;
        spec.gid = found->gid;
    }
    return spec;
}

platform::ProcessSpec agent_program(const Settings& settings)
{
    platform::ProcessSpec spec = program(settings, "millwright-agent", "millwright");
    spec.arguments = {"serve", "--data", settings.data};
    if (!settings.config.empty()) spec.arguments.insert(spec.arguments.end(), {"--config", settings.config});
    return spec;
}

platform::ProcessSpec broker_program(const Settings& settings)
{
    platform::ProcessSpec spec = program(settings, "millwright-broker", "millwright-broker");
    if (!settings.data.empty()) spec.arguments = {"--keep-out", settings.data};
    return spec;
}

/// Where this machine's credentials lie. Only root can keep them from the agent's user: started by root, they must be root's or the broker's.
platform::SecretPlaces secret_places(const Settings& settings)
{
    platform::SecretPlaces places;
    if (settings.once) return places;
    if (const char* service = std::getenv("CREDENTIALS_DIRECTORY"); service != nullptr) places.service = service;
    places.prefix = "millwright";
    places.folder = settings.data + "/credentials";
    if (const auto broker = platform::is_root() ? platform::find_user("millwright-broker") : std::nullopt) places.owners.push_back(broker->uid);
    return places;
}

/// Ends that starting again does not mend: wrong use, a bad configuration, not allowed.
bool is_for_good(const platform::Ending& ending)
{
    return ending.signal == 0 && (ending.exit_code == 0 || ending.exit_code == 64 || ending.exit_code == 65 || ending.exit_code == 77 || ending.exit_code == 78);
}

}  // namespace

Keeper::Keeper(const Settings& settings, platform::ServiceHost& host)
    : host_(host), settings_(settings), once_(settings.once), run_as_(platform::sandbox_user()), agent_(agent_program(settings)),
      broker_(broker_program(settings)), runners_(settings.folder + "/millwright-runner", run_as_, settings.data),
      secrets_(secret_places(settings)), pool_([this](const std::string& name, const SandboxRequest& request) { return runners_.make(name, request); })
{
    platform::prepare_sandboxes();
    end_orphans();
    if (auto kept = platform::keep_starter_privileges(); !kept) log::warning("keeper", "{}", kept.error().what);
    if (once_) {
        starter_.open(platform::Channel::from(Handle(3)));
        return;
    }
    give_folder();
    if (std::string(services()) == "root")
        log::warning("keeper", "there are no users 'millwright' and 'millwright-broker': agent and broker run as root (the package makes the users)");
    agent_.hand_over(kKeysVariable, [this] { return sealed_keys(); });
    agent_.want();
}

int Keeper::run()
{
    while (wait()) {
        take_signals();
        watch_agent();
        watch_broker();
        watch_runners();
        look_after_agent();
        if (orphans_at_ && Clock::now() >= *orphans_at_) end_orphans();
        renew();
        tell_service_manager();
    }
    finish();
    return exit_code_.value_or(0);
}

bool Keeper::wait()
{
    if (exit_code_) return false;
    std::optional<std::chrono::milliseconds> limit;
    const auto within = [&](Clock::duration time) {
        const auto ms = std::max(std::chrono::ceil<std::chrono::milliseconds>(time), 0ms);
        limit = limit ? std::min(*limit, ms) : ms;
    };
    const auto now = Clock::now();
    for (const Child* child : {&agent_, &broker_})
        if (child->is_wanted() && !child->is_running()) within(child->next() - now);
    if (runners_.running() > 0 || untidy_) within(kLook);
    if (orphans_at_) within(*orphans_at_ - now);
    if (const auto refill = pool_.next(); refill && !stop_by_) within(*refill - now);
    if (stop_by_) within(*stop_by_ - now);
    if (alive_) within(*alive_ + settings_.silence - now);
    if (const auto often = host_.watchdog()) within(told_ + *often - now);
    if (agent().is_waiting() || broker_.peer.is_waiting()) within(50ms);
    std::vector<const Handle*> handles{&host_.signals(), &agent().handle(), &broker_.peer.handle(), agent_.end_handle(), broker_.end_handle()};
    for (const auto& [key, runner] : runners_.all())
        if (!runner.ended) handles.push_back(&runner.sandbox->end_handle());
    for (const Handle* end : pool_.ends()) handles.push_back(end);
    if (const auto ready = platform::wait_handles(handles, limit); !ready) {
        log::error("keeper", "{}", ready.error().what);
        exit_code_ = 1;
    }
    return !exit_code_;
}

void Keeper::take_signals()
{
    const auto came = host_.take_signals();
    if (came.reload && !once_ && !stop_by_) agent().say({"reload"});
    if (!came.stop || stop_by_) return;
    host_.stopping();
    if (once_) {
        exit_code_ = 0;
        return;
    }
    stop_by_ = Clock::now() + kStopGrace;
    pool_.drop_all();
    agent_.signal(SIGTERM);
    if (!agent_.is_running()) exit_code_ = 0;
}

void Keeper::watch_agent()
{
    hear_agent();
    if (once_) return;
    if (const auto ending = agent_.collect()) {
        agent_.peer.close();
        pool_.drop_all();  // the next one says anew what it needs
        alive_.reset();
        asked_again_ = false;
        // Jobs are not ended for a file that somebody wrote wrongly meanwhile: as long as some run it is tried again.
        const bool tried_again = ending->exit_code != 0 && runners_.running() > 0;
        if (stop_by_ || (is_for_good(*ending) && !tried_again)) {
            exit_code_ = ending->signal == 0 ? ending->exit_code : stop_by_ ? 0 : 1;
            return;
        }
        if (ending->signal == 0 && ending->exit_code == kAgain) {
            log::info("keeper", "the agent starts again with new settings or programs; {} runners go on", runners_.running());
            agent_.at_once();
        } else {
            const std::string how = fmt::format("{} {}", ending->signal != 0 ? "signal" : "exit code", ending->signal != 0 ? ending->signal : ending->exit_code);
            log::warning("keeper", "the agent ended ({}); {} runners live on", how, runners_.running());
            if (before_.empty()) before_ = how;
        }
    }
    if (stop_by_ && Clock::now() >= *stop_by_) {
        log::warning("keeper", "the agent does not stop; it is killed");
        agent_.signal(SIGKILL);
        stop_by_ = Clock::now() + 5s;
    }
    const bool makes_way = renew_ && runners_.all().empty();  // the new keeper starts it
    if (!stop_by_ && !makes_way && agent_.is_due(Clock::now()))
        if (auto started = agent_.start(); !started) log::error("keeper", "{}", started.error().what);
    agent_.peer.flush();
}

void Keeper::watch_broker()
{
    hear_broker();
    if (const auto ending = broker_.collect()) {
        broker_.peer.close();
        log::warning("keeper", "the broker ended ({} {}); open effects are lost", ending->signal != 0 ? "signal" : "exit code",
                     ending->signal != 0 ? ending->signal : ending->exit_code);
    }
    if (!stop_by_ && broker_.is_due(Clock::now())) start_broker();
    broker_.peer.flush();
}

void Keeper::watch_runners()
{
    for (const std::string& key : runners_.collect()) {
        broker_.peer.say({"detach", key});
        agent().say(*runners_.find(key)->ended);
    }
    runners_.enforce();
    untidy_ = platform::tidy_sandboxes();
    if (!stop_by_) pool_.refill();
}

void Keeper::hear_agent()
{
    while (agent().is_open() && !exit_code_) {
        auto words = agent().hear();
        if (words && !*words) return;
        if (words) {
            obey(**words);
            continue;
        }
        agent().close();
        if (once_) exit_code_ = 0;  // the starter is gone: so is the run
        return;
    }
}

void Keeper::hear_broker()
{
    // So much a turn, and nothing while answers wait for it: each holds an open file, and the sandboxes' ends and limits must not wait behind it.
    for (int turn = 0; turn < 64 && broker_.peer.is_open() && !broker_.peer.is_waiting(); ++turn) {
        const auto words = broker_.peer.hear();
        if (words && !*words) return;
        if (!words) broker_.peer.close();
        else if ((*words)->size() == 2 && (*words)->front() == "credential") give_credential((**words)[1]);
        else log::warning("keeper", "the broker says what is not known");
    }
}

/// We may open it, the broker may not; what is in it only the broker reads.
void Keeper::give_credential(const std::string& name)
{
    if (auto file = platform::open_secret(secrets_, name); file) broker_.peer.say({"credential", name}, &*file);
    else broker_.peer.say({"credential", name, std::string(mill::name(file.error().code)), file.error().what});
}

void Keeper::tell_credentials()
{
    Words names{"credentials"};
    for (platform::FoundSecret& found : platform::list_secrets(secrets_)) {
        if (found.usable) names.push_back(std::move(found.name));
        else log::warning("keeper", "credential '{}' is not used: {}", found.name, found.usable.error().what);
    }
    agent().say(names);
}

void Keeper::obey(const Words& words)
{
    const std::string verb = words.empty() ? std::string() : words[0];
    const std::string key = words.size() > 1 ? words[1] : std::string();
    if (verb == "start" && words.size() == 3) start_runner(key, words[2]);
    else if (verb == "warm" && words.size() == 3) warm(key, words[2]);
    else if (verb == "time" && words.size() == 3) set_time(key, words[2]);
    else if (verb == "kill") runners_.kill(key, "killed");
    else if (verb == "forget") runners_.forget(key);
    else if (verb == "list") list();
    else if (verb == "isolation") tell_isolation();
    else if (verb == "credentials") tell_credentials();
    else if (verb == "seal" && words.size() == 3) seal_key(key, words[2]);
    else if (verb == "ready") host_.ready(key);
    else if (verb == "alive") alive_ = Clock::now();
    else if (verb == "renew") renew_ = !once_;
    else if (verb == "status") host_.status(key);
    else if (verb == "broker") {
        broker_.want();
        if (broker_.is_running()) join_agent_and_broker();
        else start_broker();
    } else if (verb == "stop") {
        if (!stop_by_) stop_by_ = Clock::now() + kStopGrace;
        pool_.drop_all();
        if (once_) exit_code_ = 0;
    } else {
        log::warning("keeper", "a word that is not known: '{}'", verb);
    }
}

void Keeper::start_runner(const std::string& key, const std::string& bytes)
{
    const auto refuse = [&](const Error& error) {
        agent().say({"refused", key, std::string(name(error.code)), error.what});
    };
    if (stop_by_) return refuse({Errc::unavailable, "the agent is stopping"});
    auto request = decode_request(bytes);
    if (!request) return refuse(request.error());
    broker_.want();
    if (!broker_.is_running()) start_broker();
    if (auto room = runners_.room(key); !room) return refuse(room.error());
    std::optional<Runner> ready = pool_.take(bytes);
    if (!ready) {
        auto made = runners_.make(key, *request);
        if (!made) return refuse(made.error());
        ready = std::move(*made);
    }
    auto runner = runners_.add(key, std::move(*ready));
    if (!runner) return refuse(runner.error());
    broker_.peer.say({"attach", key}, &(*runner)->effects);
    Words started{"started", key, (*runner)->nonce};
    for (const std::string& note : (*runner)->sandbox->notes()) started.push_back(note);
    agent().say(started, &(*runner)->job);
}

void Keeper::warm(const std::string& request, const std::string& count)
{
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), number);
    if (error != std::errc() || end != count.data() + count.size()) return log::warning("keeper", "'warm' with a number that is none");
    if (stop_by_) return;
    if (auto done = pool_.want(request, number); !done) log::warning("keeper", "{}", done.error().what);
}

void Keeper::set_time(const std::string& key, const std::string& left_ms)
{
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(left_ms.data(), left_ms.data() + left_ms.size(), number);
    if (error != std::errc() || end != left_ms.data() + left_ms.size() || number < 0) return log::warning("keeper", "'time' with a number that is none");
    runners_.set_time(key, std::min<std::chrono::milliseconds>(std::chrono::milliseconds(number), std::chrono::hours(24 * 400)));
}

void Keeper::list()
{
    for (const auto& [key, runner] : runners_.all()) {
        agent().say({"held", key}, &runner.job);
        if (runner.ended) agent().say(*runner.ended);
    }
    if (!before_.empty()) agent().say({"before", std::exchange(before_, {})});
    agent().say({"listed"});
}

const char* Keeper::services() const
{
    if (!platform::is_root()) return "shared";
    return !once_ && platform::find_user("millwright") && platform::find_user("millwright-broker") ? "separate" : "root";
}

void Keeper::tell_isolation()
{
    const platform::Isolation found = platform::find_isolation();
    const auto flag = [](bool value) { return std::string(value ? "1" : "0"); };
    agent().say({"isolation", flag(found.user_namespaces), flag(found.seccomp), found.memory, found.processes, std::to_string(found.landlock),
                 found.problem, found.proc, found.nesting, run_as_ ? "separate" : "shared", services()});
}

void Keeper::start_broker()
{
    if (auto started = broker_.start(); !started) {
        log::error("keeper", "{}", started.error().what);
        return;
    }
    for (const auto& [key, runner] : runners_.all())
        if (!runner.ended) broker_.peer.say({"attach", key, "again"}, &runner.effects);
    join_agent_and_broker();
}

void Keeper::join_agent_and_broker()
{
    if (!agent().is_open() || !broker_.peer.is_open()) return;
    auto ends = platform::Channel::pair();
    if (!ends) {
        log::error("keeper", "{}", ends.error().what);
        return;
    }
    broker_.peer.say({"agent"}, &ends->second.handle());
    agent().say({"broker"}, &ends->first.handle());
}

void Keeper::finish()
{
    pool_.drop_all();
    runners_.kill_all();
    agent_.end(2s);
    broker_.end(2s);
}

}  // namespace mill::keeper
