#include "agent/keeper/runners.h"

#include <csignal>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::keeper {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// The runner keeps its own time and ends with a report; this is for one that does not.
constexpr auto kGrace = 10s;
constexpr std::size_t kMostRunners = 1000;
constexpr const char* kAuthorities = "/etc/ssl/certs";

Limits limits_of(const SandboxRequest& request)
{
    Limits limits;
    if (request.memory != 0) limits.memory = ByteCount{request.memory};
    if (request.cpu_ms != 0) limits.cpu = std::chrono::milliseconds(request.cpu_ms);
    if (request.time_ms != 0) limits.time = std::chrono::milliseconds(request.time_ms);
    if (request.processes != 0) limits.processes = static_cast<std::uint32_t>(request.processes);
    if (request.output != 0) limits.output = ByteCount{request.output};
    limits.stated = request.limits_stated;
    return limits;
}

/// Whom the sandbox runs as. Nobody of those that hold what jobs must not reach, whatever was asked for.
Result<std::optional<platform::User>> user_for(const std::string& name, const std::optional<platform::User>& usual)
{
    if (name.empty()) return usual;
    const auto refuse = [&](const char* why) { return fail(Errc::denied, fmt::format("the environment's 'runAs: {}': {}", name, why)); };
    const auto user = platform::find_user(name);
    if (!user) return refuse("there is no such user on this machine");
    if (user->uid == 0 || user->gid == 0) return refuse("jobs never run as root, nor in its group");
    for (const char* ours : {"millwright", "millwright-broker", "millwright-factory"})
        if (const auto own = platform::find_user(ours); own && (own->uid == user->uid || own->gid == user->gid)) return refuse("that is a user of Millwright itself");
    if (!platform::is_root()) return refuse("the agent was not started as root, so all its jobs run as its own user");
    return std::optional(*user);
}

Words ended_words(const std::string& key, const Runner& runner, const platform::Ending& ending)
{
    std::string flag = runner.flag;
    if (ending.out_of_memory) flag = "memory";
    else if (flag.empty() && ending.signal == SIGXCPU) flag = "cpu";
    return {"ended", key, std::to_string(ending.exit_code), std::to_string(ending.signal), flag, std::to_string(ending.cpu_ms),
            std::to_string(ending.peak_memory), runner.sandbox->said()};
}

}  // namespace

Status Runners::room(const std::string& key) const
{
    if (runners_.contains(key)) return fail(Errc::conflict, fmt::format("attempt {} was started already", key));
    if (runners_.size() >= kMostRunners) return fail(Errc::unavailable, fmt::format("{} runners are there already", runners_.size()));
    return {};
}

Result<Runner> Runners::make(const std::string& name, const SandboxRequest& request) const
{
    auto job = platform::Channel::pair(), effects = platform::Channel::pair();
    if (!job) return fail(job.error());
    if (!effects) return fail(effects.error());
    const platform::Handle inside_job = std::move(job->second).take_handle(), inside_effects = std::move(effects->second).take_handle();

    Runner runner;
    runner.nonce = to_hex(random_bytes(16));
    platform::SandboxSpec spec;
    spec.program = program_;
    spec.lifeline = true;
    spec.arguments = {"--nonce", runner.nonce};
    if (request.commands) spec.arguments.emplace_back("--commands");
    if (request.commands && request.bridge) spec.arguments.emplace_back("--bridge");
    spec.mounts.push_back({request.package_path, "/package.mwp", false});
    const auto mount = [&](const std::vector<std::string>& paths, bool writable) {
        for (const std::string& path : paths) {
            if (!platform::exists(path)) {
                log::info("keeper", "{}: not there: {}", name, path);
                continue;
            }
            spec.mounts.push_back({path, path, writable, true});
            if (writable) spec.arguments.insert(spec.arguments.end(), {"--writable", path});
        }
    };
    if (request.commands) {
        mount(request.read, false);
        mount(request.write, true);
        // Public: the authorities by which programs check who answers through the bridge. /etc is not there otherwise.
        if (request.bridge && platform::exists(kAuthorities)) spec.mounts.push_back({kAuthorities, kAuthorities, false});
    }
    spec.kept_out = kept_out_;
    spec.handles = {{3, &inside_job}, {4, &inside_effects}};
    spec.limits = limits_of(request);
    spec.commands = request.commands;
    auto user = user_for(request.user, user_);
    if (!user) return fail(user.error());
    if (*user) {
        spec.uid = (*user)->uid;
        spec.gid = (*user)->gid;
    }
    spec.name = name;
    auto sandbox = platform::start_sandbox(spec);
    if (!sandbox) return fail(sandbox.error());
    runner.sandbox = std::move(*sandbox);
    runner.job = std::move(job->first).take_handle();
    runner.effects = std::move(effects->first).take_handle();
    runner.time = spec.limits.time;
    runner.cpu_ms = static_cast<std::uint64_t>(spec.limits.cpu.count());
    return runner;
}

Result<Runner*> Runners::add(const std::string& key, Runner runner)
{
    if (auto there = room(key); !there) return fail(there.error());
    runner.deadline = Clock::now() + runner.time + kGrace;
    return &(runners_[key] = std::move(runner));
}

void Runners::kill(const std::string& key, const std::string& flag)
{
    Runner* runner = find(key);
    if (runner == nullptr || runner->ended) return;
    if (runner->flag.empty()) runner->flag = flag;
    runner->sandbox->kill();
}

void Runners::kill_all()
{
    for (auto& [key, runner] : runners_) kill(key, "killed");
    for (auto& [key, runner] : runners_)
        if (!runner.ended) (void)runner.sandbox->wait(5s);
}

std::vector<std::string> Runners::collect()
{
    std::vector<std::string> out;
    for (auto& [key, runner] : runners_) {
        if (runner.ended) continue;
        const auto ending = runner.sandbox->wait(0ms);
        if (!ending) continue;
        runner.ended = ended_words(key, runner, *ending);
        if (ending->exit_code != 0 && !runner.ended->back().empty()) log::warning("keeper", "{}: exit code {}; it says: {}", key, ending->exit_code, runner.ended->back());
        runner.effects = {};
        out.push_back(key);
    }
    return out;
}

void Runners::enforce()
{
    const auto now = Clock::now();
    for (auto& [key, runner] : runners_) {
        if (runner.ended) continue;
        if (now >= runner.deadline) kill(key, "time");
        else if (runner.sandbox->cpu_ms() > runner.cpu_ms) kill(key, "cpu");
    }
}

void Runners::forget(const std::string& key)
{
    const Runner* runner = find(key);
    if (runner != nullptr && runner->ended) runners_.erase(key);
}

Runner* Runners::find(const std::string& key)
{
    const auto found = runners_.find(key);
    return found == runners_.end() ? nullptr : &found->second;
}

std::size_t Runners::running() const
{
    std::size_t count = 0;
    for (const auto& [key, runner] : runners_) count += runner.ended ? 0 : 1;
    return count;
}

}  // namespace mill::keeper
