// agent/runner/runner.h -- one job from `begin` to the acknowledgement of its end: one loop over two channels, timers and children.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "agent/runner/asking.h"
#include "agent/runner/begin.h"
#include "agent/runner/commands.h"
#include "agent/runner/effects.h"
#include "agent/runner/metrics.h"
#include "agent/runner/pace.h"
#include "agent/runner/rehearsal.h"
#include "agent/runner/reporter.h"
#include "agent/runner/sender.h"
#include "agent/runner/standing.h"
#include "agent/runner/stepping.h"
#include "platform/base/clock.h"
#include "platform/channel.h"
#include "workflows/interpreter.h"
#include "workflows/package.h"

namespace mill::runner {

struct RunnerOptions {
    std::string workspace = "/work";
    std::string package = "/package.mwp";  ///< loaded while the agent prepares; another that `begin` names is loaded then
    std::string nonce;       ///< said with `ready`: the keeper's proof to the agent that this is the runner it started
    bool commands = false;   ///< programs may be started: the process was confined accordingly
    Quotas quotas;
};

/// Thread: one.
class Runner {
public:
    /// `listener`: where commands ask for the network; handed to each broker. Invalid: they have none.
    Runner(platform::Channel job, platform::Channel effects, RunnerOptions options, platform::Handle listener = {});
    /// Returns when the final event is acknowledged. Errors: unavailable (nobody holds the other end of the job channel).
    Status run();

private:
    void say_ready();
    void hand_over();
    void preload();
    void begin(Begin begin);
    Result<workflows::Package> package();
    void advance();
    void perform(workflows::EffectRequest request);
    void rehearse();
    Status go_on_from(const Json& snapshot);
    bool held_back();
    void tell(const workflows::TaskChange& change);
    void hear_agent(std::string_view text);
    void cancel(const Json& who);
    bool throttled() const;
    void conclude();
    void fail_with(protocol::Reason reason, const workflows::Fault& fault, Json evidence);
    std::optional<Milliseconds> wait_time() const;
    Status drain();

    const Clock& clock_ = system_clock();
    RunnerOptions options_;
    platform::Channel job_, effect_channel_, wake_, wake_end_;
    platform::Handle listener_;
    std::mutex waking_;
    Sender to_agent_, to_broker_;
    Reporter reporter_;
    Commands commands_;
    Effects effects_;
    Metrics metrics_;
    Asking asking_;
    Standing standing_;
    Pace pace_{clock_};
    std::unique_ptr<Rehearsal> rehearsal_;  // a test
    std::unique_ptr<workflows::Interpreter> interpreter_;
    std::unique_ptr<Stepping> stepping_;
    std::optional<Begin> begin_;
    std::optional<Result<workflows::Package>> preloaded_;
    std::optional<Json> cancelled_;
};

}  // namespace mill::runner
