// workflows/engine.h -- the interpreter's state: branches with stacks of plain values; private to engine*.cpp and steps/.
#pragma once

#include <deque>
#include <random>
#include <unordered_map>
#include <unordered_set>

#include "workflows/activities/registry.h"
#include "workflows/document.h"
#include "workflows/errors.h"
#include "workflows/expression.h"
#include "workflows/interpreter.h"

namespace mill::workflows {

struct Local {
    std::string name;  ///< for.each, for.at, catch.as
    Value value;
};

/// One workflow being run: the main one, or one that `run: workflow` started.
struct Scope {
    const Document* document = nullptr;
    Value context = Json::object();
    Value workflow;  ///< $workflow
    Value secrets;   ///< $secrets: handles, never values
};

/// Opened by an activity; closed by the runtime at the end of the iteration, branch or run around it.
struct Session {
    std::string kind, name, id;
    bool open = true;
};

struct Loop {
    Value items;
    std::size_t index = 0, count = 0;
};

struct Trying {
    std::int64_t retries = 0;
    SteadyTime first;
    bool catching = false;
    std::size_t sessions = 0;  ///< that the branch had when this attempt began
};

struct Frame {
    enum class Kind : std::uint8_t { list, task, workflow } kind = Kind::list;
    enum class Stage : std::uint8_t { entering, running, resumed } stage = Stage::entering;
    int number = -1;              ///< of the list or task
    int position = 0;             ///< in the list
    std::size_t locals = 0;       ///< how many the frames below have
    Value raw, input, output;     ///< list: `raw` is the data handed on
    WallTime started;
    std::optional<SteadyTime> deadline;  ///< of the task, or of the workflow
    std::optional<SteadyTime> attempt;   ///< deadline of one try
    std::optional<SteadyTime> wake;      ///< wait, retry
    std::uint64_t effect = 0;            ///< asked and not answered
    Value answer;                        ///< of an effect, a list, a called function
    Json request;                        ///< what an http call asked, for its response
    std::unique_ptr<Loop> loop;
    std::unique_ptr<Trying> trying;
    std::vector<std::uint32_t> children; ///< fork
    std::size_t pending = 0;             ///< children still running
    std::unique_ptr<Fault> failure;      ///< of an effect: raised by the next step
    std::optional<std::size_t> sessions; ///< an iteration's list: what the branch has opened beyond these ends with it
    std::size_t opening = 0;             ///< the session that its effect opens, counted from 1
    bool beside = false;                 ///< `await: false`: it goes on by itself in a branch of its own
    bool whole = false;                  ///< a wait for which the whole workflow stands still
    bool asking = false;                 ///< its effect waits for a person
};

struct Branch {
    std::uint32_t id = 0;
    std::optional<std::uint32_t> parent;
    std::size_t index = 0;  ///< among the fork's branches
    bool ready = true, done = false;
    bool beside = false;  ///< of a task with `await: false`: nobody waits for its output
    std::vector<Session> sessions;
    std::vector<Frame> stack;
    std::vector<Local> locals;
    std::vector<Scope> scopes;
    Value output;
};

/// What running a task came to: nothing yet, a raw output, or a fault.
struct Outcome {
    enum class Kind { pending, done, fault } kind = Kind::pending;
    Value value;
    Fault fault;
    const Directive* then = nullptr;  ///< instead of the task's own
    static Outcome pending() { return {}; }
    static Outcome done(Value value, const Directive* then = nullptr)
    {
        Outcome out;
        out.kind = Kind::done;
        out.value = std::move(value);
        out.then = then;
        return out;
    }
    static Outcome failed(Fault fault)
    {
        Outcome out;
        out.kind = Kind::fault;
        out.fault = std::move(fault);
        return out;
    }
};

template <class T> using OrFault = tl::expected<T, Fault>;

class Engine : public Interpreter {
public:
    Engine(std::shared_ptr<const Package> package, std::shared_ptr<Program> program, RunOptions options);
    void start(const Document& document);

    void advance(WallTime wall, SteadyTime now) override;
    Phase phase() const override { return phase_ == Phase::running && waits_for_people() ? Phase::waiting : phase_; }
    std::vector<EffectRequest> take_requests() override { return std::exchange(requests_, {}); }
    std::vector<std::uint64_t> take_cancellations() override { return std::exchange(cancellations_, {}); }
    std::vector<TaskChange> take_changes() override { return std::exchange(changes_, {}); }
    std::vector<Json> take_cloud_events() override { return std::exchange(events_, {}); }
    std::optional<SteadyTime> wake_at() const override;
    void complete(std::uint64_t effect, Json result) override;
    void fail(std::uint64_t effect, Fault fault) override;
    void cancel(std::string why) override;
    const Json& output() const override { return output_; }
    const Fault& fault() const override { return fault_; }
    Result<Json> snapshot() const override;
    Status restore(const Json& snapshot);  ///< instead of `start`
    void pause_before(std::function<bool(const Pause&)> wanted) override { wanted_ = std::move(wanted); }
    const Pause* paused() const override { return pause_ ? &*pause_ : nullptr; }
    void go_on() override { pause_.reset(); }
    Result<Json> look(std::string_view expression) override;

private:
    // engine.cpp: branches, lists, ends.
    Branch& branch(std::uint32_t id) { return *branches_.at(id); }
    Branch& add_branch();
    void step(Branch& branch);
    void deliver(Branch& branch, Value output, const Directive& then);
    void list_finished(Branch& branch, Value output);
    void branch_finished(Branch& branch, Value output);
    void end_workflow(Branch& branch, Value output);
    void workflow_finished(Branch& branch, Value output);
    void push_list(Branch& branch, int list, Value data);
    void begin_task(Branch& branch, int task, Value data);
    void enter_task(Branch& branch);                                         ///< the one that was pushed
    OrFault<std::monostate> push_workflow(Branch& branch, const Document& document, Value input);
    void settle(Branch& branch, Outcome outcome);
    void finish_task(Branch& branch, Value raw, const Directive* then);
    void pop(Branch& branch);
    Outcome go_on_beside(Branch& branch, const Frame& frame);
    void beside_finished(Branch& branch, const Fault* fault);
    void finish_run();

    // engine_faults.cpp: faults, deadlines, cancellation.
    void raise(Branch& branch, Fault fault);
    bool caught(Branch& branch, Fault& fault);
    void fault_run(Fault fault);
    void drop(Branch& branch, std::size_t down_to, std::string_view state);  ///< frames above go, their tasks as `state`
    void release(Branch& branch, Frame& frame);                              ///< its effect and children
    void end_branch(std::uint32_t id);
    bool expire(Branch& branch);
    std::optional<Milliseconds> remaining(const Branch& branch) const;

    // engine_data.cpp: expressions and schemas.
    OrFault<Value> evaluate(Branch& branch, const Frame& frame, int expression, const Value& data);
    OrFault<Value> fill(Branch& branch, const Frame& frame, const Template& shape, const Value& data);
    OrFault<Value> bounded(const Branch& branch, Value value) const;
    OrFault<Milliseconds> measure(Branch& branch, const Frame& frame, const DurationSpec& duration, const Value& data);
    OrFault<bool> test(Branch& branch, const Frame& frame, int expression, const Value& data);
    OrFault<Value> shaped(Branch& branch, const Frame& frame, const DataFilter& filter, Value data, std::string_view what, const std::string& pointer);
    std::optional<Fault> mistaken(const DataFilter& filter, const Value& data, std::string_view what, const std::string& pointer) const;
    Value argument(const Branch& branch, const Frame& frame, const std::string& name) const;
    Json moment(WallTime time) const;

    // steps/*.cpp: one function a kind; `frame` is the top of the branch's stack.
    Outcome run(Branch& branch, Frame& frame);
    Outcome run_set(Branch& branch, Frame& frame);
    Outcome run_switch(Branch& branch, Frame& frame);
    Outcome run_wait(Branch& branch, Frame& frame);
    Outcome run_raise(Branch& branch, Frame& frame);
    Outcome run_emit(Branch& branch, Frame& frame);
    Outcome run_do(Branch& branch, Frame& frame);
    Outcome run_for(Branch& branch, Frame& frame);
    Outcome run_fork(Branch& branch, Frame& frame);
    Outcome run_try(Branch& branch, Frame& frame);
    Outcome run_http(Branch& branch, Frame& frame);
    Outcome run_openapi(Branch& branch, Frame& frame);
    Outcome http_send(Branch& branch, Frame& frame, Json request, Json login, const Json& with);
    static Outcome http_answer(const Task& what, Frame& frame);
    Outcome run_activity(Branch& branch, Frame& frame);
    Outcome run_function(Branch& branch, Frame& frame);
    Outcome run_command(Branch& branch, Frame& frame);
    Outcome run_workflow(Branch& branch, Frame& frame);
    Outcome ask(Branch& branch, Frame& frame, std::string effect, Json with);
    Outcome ask_people(Branch& branch, Frame& frame, const Activity& activity, Json with);
    Outcome answered(Branch& branch, Frame& frame);
    bool waits_for_people() const;
    std::optional<Outcome> stood_in(Branch& branch, Frame& frame);

    // engine_snapshot.cpp
    std::string snapshot_trouble() const;
    Json saved(const Branch& branch) const;
    Json saved(const Frame& frame) const;
    Status restore_branch(const Json& json);
    Status restore_frame(const Json& json, Branch& branch);
    void resume_at(WallTime wall, SteadyTime now);
    std::string name_of(const Document& document) const;
    const Document* document_named(std::string_view name) const;

    // engine_fits.cpp
    static bool is_snapshot(const Json& snapshot);
    bool fits() const;
    bool fits(const Branch& branch) const;
    bool fits_above(const Branch& branch, const Document& in, const Frame& frame, const Frame& above, const Document* called) const;
    bool fits_on_top(const Branch& branch, const Document& in, const Frame& frame) const;

    // engine_sessions.cpp
    std::optional<Fault> in_session(Branch& branch, Frame& frame, const SessionRole& role, Json& with);
    void close_sessions(Branch& branch, std::size_t down_to);
    void request(std::string effect, Json with, std::string task);  ///< whose answer nobody waits for

    // lifecycle.cpp
    void changed(const Branch& branch, const Frame& frame, std::string_view state, const Fault* fault = nullptr, const Directive* next = nullptr);
    void workflow_changed(const Branch& branch, const Scope& scope, std::string_view state, Json more);
    Json cloud_event(std::string type, Json data) const;

    // watching.cpp: for who traces or steps.
    bool pauses(Branch& branch);
    std::size_t depth(const Branch& branch, const Frame* top = nullptr) const;
    Json traced(const Frame& frame, const Task& what, std::string_view state, const Directive* next) const;
    void note(const Branch& branch, const Frame& frame, std::string_view state, Json detail);

    const Task& task(const Branch& branch, const Frame& frame) const { return branch.scopes.back().document->tasks[static_cast<std::size_t>(frame.number)]; }
    const Document& document(const Branch& branch) const { return *branch.scopes.back().document; }
    static std::string place(const Branch& branch);  ///< of the task on top

    std::shared_ptr<const Package> package_;
    std::shared_ptr<Program> program_;
    RunOptions options_;
    Value runtime_;
    WallTime wall_;
    SteadyTime now_;
    Phase phase_ = Phase::pending;
    const Document* main_ = nullptr;
    std::map<std::uint32_t, std::unique_ptr<Branch>> branches_;
    std::uint32_t next_branch_ = 0;
    std::uint64_t next_effect_ = 1, steps_ = 0, next_session_ = 1;
    bool main_done_ = false;  ///< what goes on beside it is still waited for
    std::unordered_map<std::uint64_t, std::uint32_t> effects_;  ///< asked → branch
    std::vector<EffectRequest> requests_;
    std::vector<std::uint64_t> cancellations_;
    std::vector<TaskChange> changes_;
    std::vector<Json> events_;
    std::map<std::string, Json> api_documents_;  ///< OpenAPI documents of this run, by address
    std::mt19937_64 random_;
    std::function<bool(const Pause&)> wanted_;
    std::optional<Pause> pause_;
    std::uint32_t paused_branch_ = 0;
    bool resuming_ = false;  ///< restored, and not told what time it is
    bool more_ = false;  ///< stopped only because its time was over
    Json output_;
    Fault fault_;
};

}  // namespace mill::workflows
