#include "agent/companion/stop_key.h"

#include <optional>

#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/global_key.h"

namespace mill::companion {
namespace {

constexpr std::chrono::seconds kTryAgain{15};   // keys that another program has
constexpr std::chrono::seconds kStopAnswer{5}, kPersist{60};
constexpr Milliseconds kBetween{100};

}  // namespace

Result<Said> stop_everything(const PersonClient& client, const std::string& way, std::stop_token stop)
{
    const SteadyTime end = system_clock().steady() + kPersist;
    while (true) {
        auto said = client.ask("POST", "/v1/stop", Json::object({{"way", way}}), kStopAnswer);
        if (said || said.error().code == Errc::denied || system_clock().steady() >= end || !system_clock().sleep(kBetween, stop)) return said;
    }
}

void run_stop_key(const platform::KeyCombination& keys, const PersonClient& client, const KeyTold& told, std::stop_token stop)
{
    auto key = platform::open_global_key(keys);
    if (!key) return told.works_not(key.error());
    bool taken = false;
    const auto take = [&](const Status& done) {
        taken = done.has_value();
        if (taken) told.works();
        else if (done.error().code != Errc::unavailable) told.works_not(done.error());
    };
    Status done = (*key)->take();
    take(done);
    while (!stop.stop_requested()) {
        auto pressed = (*key)->wait(taken ? std::nullopt : std::optional<std::chrono::milliseconds>(kTryAgain), stop);
        if (!pressed && pressed.error().code == Errc::cancelled) return;
        if (!pressed && pressed.error().code == Errc::unavailable) return told.display_gone();
        if (!pressed) {
            take(fail(pressed.error()));   // the keyboard changed, and the keys are not to be had
        } else if (*pressed) {
            log::info("stop", "{} was pressed", platform::format_key(keys));
            told.stopped(stop_everything(client, "key", stop));
        } else if (done = (*key)->take(); done || done.error().code == Errc::unavailable) {
            if (!done) return told.display_gone();
            take(done);
        }
    }
}

}  // namespace mill::companion
