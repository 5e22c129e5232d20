// agent/runner/commands.h -- programs that the workflow starts, inside this sandbox: what to start, and the running of it.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "platform/base/json.h"
#include "platform/base/mailbox.h"
#include "platform/process.h"
#include "workflows/interpreter.h"

namespace mill::runner {

template <class T> using Outcome = tl::expected<T, workflows::Fault>;

/// A fault of a standard type; `type` is its last word.
workflows::Fault fault(std::string_view type, int status, std::string title, std::string detail);

/// One way to run what was asked for. A shell command without anything special in it is started directly first, which needs
/// less to be granted; the second way is the shell.
struct CommandPlan {
    std::string program;                  ///< as asked of the broker; then the path that it answered
    std::vector<std::string> arguments;
};
struct CommandRequest {
    std::vector<CommandPlan> plans;       ///< tried in order until one is granted
    std::map<std::string, std::string> environment;
    std::string input;
    std::string returns = "stdout";       ///< stdout, stderr, code, all, none
};
Outcome<CommandRequest> plan_shell(const Json& with);
/// Writes the script into `workspace`. `number` makes its name.
Outcome<CommandRequest> plan_script(const Json& with, const std::string& workspace, std::uint64_t number);

/// What the task gets: by `returns`, or a fault when the program failed and nobody asked for its status.
Outcome<Json> command_result(const Result<platform::Captured>& ran, const CommandRequest& request, std::size_t max_output);

/// For what a command has to clear away, from SIGTERM to SIGKILL.
inline constexpr std::chrono::milliseconds kCommandGrace{3'000};

/// What makes programs ask for the network at 127.0.0.1:kBridgePort.
inline constexpr std::uint16_t kBridgePort = 3128;
std::map<std::string, std::string> bridge_environment();

/// Runs them, each on a thread of its own that waits for it, a bounded number at once. Thread: one.
class Commands {
public:
    struct Done {
        std::uint64_t id = 0;
        Outcome<Json> outcome;
        Json stopped;               ///< how it ended, when it was told to: {command, ended: itself|SIGTERM|SIGKILL, afterMs}
    };
    /// `wake` is called from another thread when `take` has something.
    /// Each command gets `environment`, beside what its task gives it.
    Commands(std::string workspace, std::size_t max_output, std::function<void()> wake, std::map<std::string, std::string> environment = {});
    ~Commands();  ///< kills what runs
    void start(std::uint64_t id, CommandPlan plan, CommandRequest request, std::optional<std::chrono::milliseconds> limit);
    /// Its group gets SIGTERM, and SIGKILL when it still runs kCommandGrace later; nothing comes of it any more.
    void cancel(std::uint64_t id);
    std::vector<Done> take();
    /// What was told to stop, and has; the last few.
    const Json& stopped() const { return stopped_; }
    bool idle() const { return running_.empty() && waiting_.empty(); }

private:
    struct Job {
        std::uint64_t id = 0;
        CommandPlan plan;
        CommandRequest request;
        std::optional<std::chrono::milliseconds> limit;
    };
    struct Running {
        bool wanted = true;
        std::stop_source stop;
        std::optional<std::chrono::steady_clock::time_point> told;
        std::jthread thread;
    };
    void launch(Job job);

    std::string workspace_;
    std::size_t max_output_;
    std::function<void()> wake_;
    const std::map<std::string, std::string> environment_;
    Mailbox<Done> done_;
    Json stopped_ = Json::array();
    std::deque<Job> waiting_;
    std::map<std::uint64_t, Running> running_;
};

}  // namespace mill::runner
