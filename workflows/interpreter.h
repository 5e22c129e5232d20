// workflows/interpreter.h -- runs one workflow as an explicit stack of plain values; no OS, no network, no thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "workflows/package.h"

namespace mill::workflows {

/// RFC 7807; `type` is the full URI of the DSL's standard types or the author's own.
struct Fault {
    std::string type, title, detail, instance;
    int status = 500;
};
Json to_json(const Fault& fault);

/// What the interpreter wants done outside. `effect` is a name of protocol/README.md's table, or "shell" (args: command,
/// arguments, environment, stdin, return, reveal), "script", "log" (args: level, text), "progress".
struct EffectRequest {
    std::uint64_t id = 0;
    std::string effect;
    Json with;
    std::string task;                                        ///< JSON pointer
    std::optional<std::chrono::milliseconds> timeout;        ///< what is left of the enclosing timeouts
    std::string name = {}, call = {};                        ///< the task's name, and what it calls: "http", "file.read", "shell", a function
};

/// A task changed its phase: what becomes a `step` event and a CloudEvent.
struct TaskChange {
    std::string task, name, type, state;   ///< as in protocol/README.md, kind step
    Json detail;                           ///< when traced (docs/testing.md): input, output, what was decided; else null
    Json error;                            ///< RFC 7807; of faulted and retried
    WallTime time;
    std::optional<WallTime> started;       ///< of a `completed` that stands for its `started`, too (set, switch, …)
    WallTime since = {};                   ///< when the task started, in every record
    std::size_t depth = 0;                 ///< how many tasks, lists and workflows it stands in; when traced
    std::uint32_t branch = 0;              ///< of a fork, or the main one
    bool trace_only = false;               ///< caught, iteration, asked: no state of a task, only for who watches
};

/// Where a run stands that somebody steps through: before this task.
struct Pause {
    std::string task, name, type, file;
    int line = 1;
    std::size_t depth = 0;
    std::uint32_t branch = 0;
    std::vector<std::string> names;        ///< what an expression may read besides `.`
    std::vector<std::string> stack;        ///< pointers of the tasks it stands in, outermost first
};

struct Task;  // workflows/document.h

/// The DSL's lifecycle events (type, data) of a change: what `--events` shows, and what a job's record of a step says. `workflow` is
/// NAME-ID.NAMESPACE. A `completed` with `started` gives the events of its start, too; `skipped` gives none, `waiting` is suspended.
std::vector<std::pair<std::string, Json>> lifecycle_of(const TaskChange& change, std::string_view workflow);

struct RunOptions {
    std::string workflow = "main";
    std::string run_id;                    ///< $workflow.id: the attempt's key or a uid
    Json input;
    Json variables;                        ///< $runtime.metadata.variables
    std::string runtime_version;
    std::uint64_t max_steps = 1'000'000;
    bool trace = false;                    ///< TaskChange::detail carries input and output
    bool steps = true;                     ///< report TaskChanges at all
    bool cloud_events = true;              ///< make lifecycle CloudEvents (costs a copy of each output); `emit` is always there
    std::uint64_t seed = 0;                ///< of jitter
    /// A task that is to be asked as the effect "stand-in" (with: its arguments) although the interpreter could do it: a
    /// function, a workflow, a pure activity, an OpenAPI operation. Null: none.
    std::function<bool(const Task&)> stands_in = {};
    bool own_deadlines = false;            ///< of questions to people: nobody else counts them
    Json snapshot = {};                    ///< goes on from there, instead of beginning with `input`
};

/// waiting: nothing goes on until a person answers (effect "ask"), or its time is over.
enum class Phase { pending, running, waiting, cancelled, faulted, completed };

/// Thread: one. Drive it: `advance`, perform what `take_requests` gives, `complete` each, until `phase` is final.
class Interpreter {
public:
    virtual ~Interpreter() = default;
    /// Goes on until nothing can be done without an answer or a later time (or for about 5 ms: then `wake_at` is `now`).
    virtual void advance(WallTime wall, SteadyTime now) = 0;
    virtual Phase phase() const = 0;
    virtual std::vector<EffectRequest> take_requests() = 0;        ///< to start
    virtual std::vector<std::uint64_t> take_cancellations() = 0;   ///< effects whose answer is no longer wanted
    virtual std::vector<TaskChange> take_changes() = 0;
    virtual std::vector<Json> take_cloud_events() = 0;             ///< lifecycle and `emit`, in order
    virtual std::optional<SteadyTime> wake_at() const = 0;         ///< the next timer
    virtual void complete(std::uint64_t effect, Json result) = 0;
    virtual void fail(std::uint64_t effect, Fault fault) = 0;
    virtual void cancel(std::string why) = 0;                      ///< the whole run
    virtual const Json& output() const = 0;                        ///< when completed
    virtual const Fault& fault() const = 0;                        ///< when faulted
    /// All of the run as plain values, for RunOptions::snapshot of the same package (this version or an older one of the form). Ids of open
    /// effects stay what they are. Errors: conflict (it does not wait for people alone, or a session is open: says which).
    virtual Result<Json> snapshot() const = 0;

    // Stepping. Asked before each task (before its `if`); true: all branches stand still until `go_on`.
    virtual void pause_before(std::function<bool(const Pause&)> wanted) = 0;
    virtual const Pause* paused() const = 0;                       ///< null: it goes on
    virtual void go_on() = 0;
    /// A jq expression on the data of the task it is paused before. Errors: invalid (in words), timeout, conflict (not paused).
    virtual Result<Json> look(std::string_view expression) = 0;
};

/// What stands for a secret's value wherever the interpreter handles one: the broker replaces it inside effects, and nobody
/// else can. U+E000 "NAME.FIELD" U+E001.
std::string secret_handle(std::string_view name, std::string_view field);

/// Errors: not_found (no such workflow), invalid (the package has errors, an expression does not compile).
Result<std::unique_ptr<Interpreter>> make_interpreter(std::shared_ptr<const Package> package, RunOptions options);

}  // namespace mill::workflows
