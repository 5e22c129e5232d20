// What the keeper does between its turns: an agent that hangs, the service manager's watchdog, newer programs on the disk.
#include <chrono>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "agent/keeper/keeper.h"
#include "platform/append_file.h"
#include "platform/base/log.h"
#include "platform/orphan.h"

namespace mill::keeper {

using namespace std::chrono_literals;

void Keeper::look_after_agent()
{
    if (!alive_ || stop_by_ || std::chrono::steady_clock::now() - *alive_ < settings_.silence) return;
    log::error("keeper", "the agent has been silent for {} s and is killed; {} runners live on", settings_.silence.count(), runners_.running());
    before_ = fmt::format("it was silent for {} s and was killed", settings_.silence.count());
    alive_.reset();
    agent_.signal(SIGKILL);
}

/// At the start, and once more: some were just being left by the keeper of before.
void Keeper::end_orphans()
{
    if (const std::size_t left = platform::end_orphans(); left > 0) log::warning("keeper", "{} sandboxes that a keeper of before was killed with while it started them are ended", left);
    orphans_at_ = orphans_at_ ? std::nullopt : std::optional(std::chrono::steady_clock::now() + 10s);
}

void Keeper::tell_service_manager()
{
    const auto often = host_.watchdog();
    if (!often || std::chrono::steady_clock::now() - told_ < *often) return;
    told_ = std::chrono::steady_clock::now();
    host_.alive();
}

/// The new process is this one: same number, same place at the service manager. Nothing is handed on, so nothing may run.
void Keeper::renew()
{
    if (!runners_.all().empty()) asked_again_ = false;
    if (!renew_ || stop_by_ || exit_code_ || !runners_.all().empty()) return;
    if (agent_.is_running()) {  // it may just be taking a job: it decides
        if (!std::exchange(asked_again_, true)) agent().say({"again"});
        return;
    }
    pool_.drop_all();
    broker_.end(2s);
    log::info("keeper", "nothing runs: the new keeper takes over");
    std::vector<std::string> arguments{"--data", settings_.data};
    if (!settings_.config.empty()) arguments.insert(arguments.end(), {"--config", settings_.config});
    const auto failed = platform::become_program(settings_.folder + "/millwright-keeper", arguments);
    log::error("keeper", "the new keeper cannot be started, this one goes on: {}", failed.error().what);
    renew_ = false;
    broker_.want();
}

}  // namespace mill::keeper
