// agent/companion/stop_key.h -- the key that stops everything, on X11: a thread that waits for nothing but the keyboard and the agent.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "agent/companion/person_client.h"
#include "platform/key_combination.h"

namespace mill::companion {

struct KeyTold {
    std::function<void(const Error& why)> works_not;            ///< conflict: another program has the keys; it is tried again and again
    std::function<void()> works;
    std::function<void(const Result<Said>& how)> stopped;       ///< each time that it was pressed
    std::function<void()> display_gone;                         ///< the session is over
};

/// Stops what runs whenever the keys are pressed. An agent that is just being started again hears it as soon as it is there, for a minute.
/// Blocks until stopped, or the display is gone. `told` is called on this thread.
void run_stop_key(const platform::KeyCombination& keys, const PersonClient& client, const KeyTold& told, std::stop_token stop);

/// POST /v1/stop. Blocks, up to a minute while no agent answers.
Result<Said> stop_everything(const PersonClient& client, const std::string& way, std::stop_token stop);

}  // namespace mill::companion
