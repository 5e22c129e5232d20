#include "agent/runner/runner.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/core.h>

#include "agent/runner/folder_copy.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/confine.h"
#include "protocol/version.h"
#include "workflows/package.h"
#include "workflows/preview.h"

namespace mill::runner {
namespace {

using protocol::JobState;
using protocol::Reason;
using workflows::Phase;

constexpr std::size_t kMaxOutput = 16 * 1024 * 1024;  // what a final event can carry
constexpr std::size_t kMaxCommandOutput = 8 * 1024 * 1024;
constexpr int kMostMessages = 256;                    // of one channel before the others get their turn

std::pair<platform::Channel, platform::Channel> wake_pair()
{
    auto pair = platform::Channel::pair();
    check(pair.has_value(), "a pair of channels can be made");
    return std::move(*pair);
}

bool is_final(Phase phase) { return phase == Phase::cancelled || phase == Phase::faulted || phase == Phase::completed; }

Reason reason_of(const workflows::Fault& fault)
{
    if (fault.type.find("limit_steps") != std::string::npos || fault.title.find("limit_steps") != std::string::npos) return Reason::limit_steps;
    // A timeout of the whole workflow; one of a task that nobody caught is an error like others.
    if (fault.type.ends_with("/timeout") && (fault.instance.empty() || fault.instance == "/")) return Reason::timeout;
    return Reason::error;
}

std::uint64_t random_seed()
{
    std::uint64_t seed = 0;
    for (const char byte : random_bytes(8)) seed = seed << 8 | static_cast<unsigned char>(byte);
    return seed;
}

Json findings_of(const workflows::Package& package)
{
    Json out = Json::array();
    for (const workflows::Finding& finding : package.findings)
        if (finding.level == workflows::Finding::Level::error && out.size() < 200) out.push(cut_text(finding.format(), 2048));
    return out;
}

}  // namespace

Runner::Runner(platform::Channel job, platform::Channel effects, RunnerOptions options, platform::Handle listener)
    : options_(std::move(options)), job_(std::move(job)), effect_channel_(std::move(effects)), listener_(std::move(listener)),
      to_agent_(job_, [this] {
          const std::scoped_lock lock(waking_);
          if (auto sent = wake_end_.send("drained", nullptr, {}, Milliseconds(0)); !sent) return;  // full: it wakes anyway
      }),
      to_broker_(effect_channel_),
      reporter_(clock_, [this](std::string text) { to_agent_.send(std::move(text)); },
                [this](std::deque<std::string> texts) { to_agent_.replace(std::move(texts)); }, options_.quotas),
      commands_(options_.workspace, kMaxCommandOutput,
                [this] {
                    const std::scoped_lock lock(waking_);
                    if (auto sent = wake_end_.send("command", nullptr, {}, Milliseconds(0)); !sent) return;
                },
                listener_.valid() ? bridge_environment() : std::map<std::string, std::string>{}),
      effects_(clock_, reporter_, commands_, options_.workspace, [this](std::string text) { to_broker_.send(std::move(text)); }, [this] { hand_over(); }),
      metrics_(clock_, reporter_, [this](std::string text) { to_agent_.send(std::move(text)); }),
      asking_([this](const Json& message) { to_agent_.send(dump_json(message)); }),
      standing_({clock_, reporter_, asking_, options_.workspace, [this](const Json& message) { to_agent_.send(dump_json(message)); }})
{
    std::tie(wake_, wake_end_) = wake_pair();
    hand_over();
}

Status Runner::run()
{
    say_ready();
    preload();
    while (!reporter_.settled()) {
        if (interpreter_ && !reporter_.finished()) advance();
        reporter_.flush(clock_.steady());
        const auto woken = platform::wait_any({&job_, effect_channel_.valid() ? &effect_channel_ : nullptr, &wake_}, wait_time());
        if (!woken) return fail(woken.error());
        if (*woken)
            if (auto ok = drain(); !ok) return ok;
        effects_.expire(clock_.steady());
        metrics_.expire(clock_.steady());
    }
    return {};
}

std::optional<Milliseconds> Runner::wait_time() const
{
    std::optional<SteadyTime> first = reporter_.flush_at();
    const auto consider = [&](std::optional<SteadyTime> time) {
        if (time && (!first || *time < *first)) first = time;
    };
    if (interpreter_ && !reporter_.finished()) {
        if (const auto wake = interpreter_->wake_at(); wake && !throttled() && !standing_.asked_to_go()) consider(pace_.real(*wake));
        consider(effects_.next_deadline());
        consider(metrics_.next_deadline());
        if (!effects_.answered() || metrics_.answered() || asking_.answered()) consider(clock_.steady());
    }
    if (!first) return std::nullopt;
    return std::max(std::chrono::ceil<Milliseconds>(*first - clock_.steady()), Milliseconds(0));
}

Status Runner::drain()
{
    for (int count = 0; count < kMostMessages; ++count) {
        auto message = job_.receive(Milliseconds(0));
        if (!message) return fail("job channel", message.error());
        if (!*message) break;
        hear_agent((*message)->text);
    }
    for (int count = 0; count < kMostMessages && effect_channel_.valid(); ++count) {
        auto message = effect_channel_.receive(Milliseconds(0));
        if (!message) {
            effects_.broker_lost("the broker went away", true);
            to_broker_.close();
            effect_channel_ = {};
        } else if (*message) {
            effects_.hear((*message)->text);
        } else {
            break;
        }
    }
    for (;;) {
        auto message = wake_.receive(Milliseconds(0));
        if (!message || !*message) return {};
    }
}

void Runner::hear_agent(std::string_view text)
{
    auto message = parse_agent_message(text);
    if (!message) {
        log::error("runner", "{}", message.error().what);
        if (!begin_ && text.find("\"begin\"") != std::string_view::npos) {
            begin_.emplace();
            fail_with(Reason::internal, fault("configuration", 500, "Not begun", message.error().what), Json());
        }
        return;
    }
    if (message->begin && !begin_) begin(std::move(*message->begin));
    if (message->acknowledged) reporter_.acknowledge(*message->acknowledged);
    if (message->resume) {
        reporter_.resume(*message->resume);
        if (!begin_) say_ready();
        asking_.say_again();
        if (interpreter_ && !reporter_.finished()) standing_.say_again(*interpreter_);
    }
    if (message->answered && asking_.hear(*message->answered)) standing_.on_go();
    if (message->go) standing_.on_go();
    if (message->cancel) cancel(*message->cancel);
    if (message->read) metrics_.hear(*message->read);
    if (message->step && stepping_ && !reporter_.finished()) stepping_->hear(*message->step);
}

/// The broker that is there, or the one that comes: until then it waits in the channel.
void Runner::hand_over()
{
    if (listener_.valid()) to_broker_.send(dump_json(Json::object({{"listener", true}})), listener_.duplicate());
}

void Runner::say_ready()
{
    to_agent_.send(dump_json(Json::object({{"ready", 1}, {"version", protocol::kVersion}, {"nonce", options_.nonce}})));
}

/// Reading the package and compiling its expressions takes longer than all else; the agent is writing to its disk meanwhile, or has
/// no job yet.
void Runner::preload()
{
    auto package = workflows::load_package(options_.package);
    if (package || package.error().code != Errc::not_found) preloaded_ = std::move(package);
}

Result<workflows::Package> Runner::package()
{
    if (preloaded_ && begin_->package == options_.package) return std::move(*preloaded_);
    return workflows::load_package(begin_->package);
}

void Runner::begin(Begin begin)
{
    begin_ = std::move(begin);
    reporter_.begin(begin_->first_sequence);
    if (options_.commands && begin_->grants.commands.empty()) {
        if (auto ok = platform::confine({.commands = false}); !ok)
            return fail_with(Reason::refused, fault("configuration", 500, "Not confined", ok.error().what), Json());
    }
    if (cancelled_) return reporter_.finish(JobState::cancelled, Reason::cancelled_by, Json::object({{"evidence", *cancelled_}}));
    auto loaded = package();
    if (!loaded)
        return fail_with(Reason::invalid_package, fault("validation", 400, "The package cannot be loaded", loaded.error().what), Json());
    if (!loaded->valid()) {
        Json findings = findings_of(*loaded);
        const std::string first = findings[std::size_t{0}].as_string();
        return fail_with(Reason::invalid_package, fault("validation", 400, "The package has errors", first), Json::object({{"findings", std::move(findings)}}));
    }
    workflows::RunOptions run;
    run.workflow = begin_->workflow;
    run.run_id = begin_->key;
    run.input = from_outside(begin_->input);
    run.variables = from_outside(begin_->variables);
    run.runtime_version = protocol::kProgramVersion;
    run.trace = begin_->trace || begin_->details;
    run.cloud_events = begin_->events;
    run.seed = random_seed();
    run.snapshot = begin_->snapshot["run"];
    asking_.begin(begin_->rehearsal.is_object() ? "nobody" : begin_->asks);
    run.own_deadlines = begin_->rehearsal.is_object() || asking_.at_terminal();
    if (begin_->rehearsal.is_object()) {
        auto rehearsal = Rehearsal::make(begin_->rehearsal, run.input, pace_);
        if (!rehearsal) return fail_with(Reason::invalid_package, fault("validation", 400, "The test cannot start", rehearsal.error().what), Json());
        rehearsal_ = std::move(*rehearsal);
        run.stands_in = [this](const workflows::Task& task) { return rehearsal_->names(task); };
        run.seed = 0;
    }
    auto made = workflows::make_interpreter(std::make_shared<const workflows::Package>(std::move(*loaded)), std::move(run));
    if (!made) return fail_with(Reason::invalid_package, fault("validation", 400, "The workflow cannot start", made.error().what), Json());
    interpreter_ = std::move(*made);
    if (begin_->snapshot.is_object())
        if (auto ok = go_on_from(begin_->snapshot); !ok) return fail_with(Reason::internal, fault("runtime", 500, "Not continued", ok.error().what), Json());
    if (begin_->step) stepping_ = std::make_unique<Stepping>(*interpreter_, pace_, [this](const Json& message) { to_agent_.send(dump_json(message)); });
}

/// It stood when its machine went down; all that it held but the run itself is put back.
Status Runner::go_on_from(const Json& snapshot)
{
    if (auto ok = put_folder(snapshot["folder"], options_.workspace); !ok) return ok;
    standing_.restored(Milliseconds(snapshot["waitedMs"].as_integer()));
    return asking_.restore(snapshot["asks"]);
}

void Runner::cancel(const Json& who)
{
    if (cancelled_) return;
    cancelled_ = Json::object({{"by", who["by"]}, {"why", who["why"]}});
    if (interpreter_ && !reporter_.finished()) interpreter_->cancel(who["why"].as_string());
}

bool Runner::throttled() const
{
    return (begin_->events || begin_->trace) && !cancelled_ && to_agent_.full();
}

void Runner::advance()
{
    const auto answer_all = [this](std::vector<Effects::Answer> answers) {
        for (Effects::Answer& answer : answers) {
            if (answer.outcome) interpreter_->complete(answer.id, std::move(*answer.outcome));
            else interpreter_->fail(answer.id, std::move(answer.outcome.error()));
        }
    };
    answer_all(effects_.take());
    answer_all(metrics_.take());
    const bool heard = asking_.answered();
    answer_all(asking_.take());
    if (rehearsal_) answer_all(rehearsal_->due());
    // What is watched live is not made faster than it is taken.
    if (throttled()) return;
    if (!heard && held_back()) return;
    interpreter_->advance(pace_.now(), pace_.steady());
    for (const std::uint64_t id : interpreter_->take_cancellations()) {
        effects_.cancel(id);
        metrics_.cancel(id);
        asking_.cancel(id, cancelled_ ? "the job was cancelled" : "the workflow went on without it");
        if (rehearsal_) rehearsal_->cancel(id);
    }
    for (const workflows::TaskChange& change : interpreter_->take_changes()) tell(change);
    for (const Json& event : interpreter_->take_cloud_events())
        if (begin_->events) to_agent_.send(dump_json(Json::object({{"cloudEvent", event}})));
    for (workflows::EffectRequest& request : interpreter_->take_requests()) perform(std::move(request));
    if (stepping_) stepping_->look_up();
    if (is_final(interpreter_->phase())) conclude();
    else if (rehearsal_) rehearse();
    else standing_.look(*interpreter_, interpreter_->phase() == Phase::waiting && effects_.idle() && metrics_.idle() && commands_.idle() && !asking_.answered());
}

/// A timer of a run that waits for people is due: what the agent keeps of it has to go first.
bool Runner::held_back()
{
    const auto wake = interpreter_->wake_at();
    return interpreter_->phase() == Phase::waiting && wake && *wake <= pace_.steady() && !standing_.may_go();
}

void Runner::tell(const workflows::TaskChange& change)
{
    constexpr workflows::PreviewLimits kTraced{.text = 16'384, .items = 200, .members = 200, .depth = 20, .total = 2000};
    if (!change.trace_only) {
        Json detail;
        bool cut = false;
        if (begin_->details) detail = workflows::preview(workflows::name_secrets(change.detail), kTraced, &cut);
        if (cut) detail.set("cut", true);
        reporter_.step(change, std::move(detail));
    }
    if (!begin_->trace) return;
    bool cut = false;
    Json trace = Json::object({{"task", change.task}, {"name", change.name}, {"type", change.type}, {"state", change.state},
                               {"time", format_time(change.time)}, {"startedAt", format_time(change.since)}, {"depth", change.depth}, {"branch", change.branch},
                               {"detail", workflows::preview(workflows::name_secrets(change.detail), kTraced, &cut)}, {"error", change.error}});
    if (cut) trace.set("cut", true);
    to_agent_.send(dump_json(Json::object({{"trace", std::move(trace)}})));
}

void Runner::perform(workflows::EffectRequest request)
{
    std::optional<workflows::EffectRequest> real = std::move(request);
    if (rehearsal_) real = rehearsal_->take(std::move(*real));
    if (!real) return;
    if (real->effect == "ask") asking_.start(*real, pace_.now());
    else if (Metrics::is_one(real->effect)) metrics_.start(*real, begin_->grants);
    else effects_.start(std::move(*real));
}

/// Nothing real is under way: the test's clock jumps. What it cannot answer ends it.
void Runner::rehearse()
{
    if (rehearsal_->problem().empty() && effects_.idle() && metrics_.idle() && commands_.idle()) {
        const auto wake = interpreter_->wake_at();
        if (!wake || *wake > pace_.steady()) rehearsal_->jump(wake);
    }
    if (rehearsal_->problem().empty()) return;
    interpreter_->cancel(rehearsal_->problem());
    for (const std::uint64_t id : interpreter_->take_cancellations()) {
        effects_.cancel(id);
        metrics_.cancel(id);
    }
    for (const workflows::TaskChange& change : interpreter_->take_changes()) tell(change);
    conclude();
}

void Runner::conclude()
{
    if (!commands_.idle()) return;  // they were told to stop, and wake us when they have
    if (rehearsal_) {
        const bool completed = interpreter_->phase() == Phase::completed, faulted = interpreter_->phase() == Phase::faulted;
        to_agent_.send(dump_json(Json::object({{"rehearsed", rehearsal_->report(completed ? interpreter_->output() : Json(),
                                                                                faulted ? workflows::to_json(interpreter_->fault()) : Json())}})));
    }
    if (interpreter_->phase() == Phase::cancelled) {
        Json evidence = cancelled_ ? *cancelled_ : Json::object({{"by", "workflow"}});
        if (commands_.stopped().size() > 0) evidence.set("commands", commands_.stopped());
        return reporter_.finish(JobState::cancelled, Reason::cancelled_by, Json::object({{"evidence", std::move(evidence)}}));
    }
    if (interpreter_->phase() == Phase::faulted) return fail_with(reason_of(interpreter_->fault()), interpreter_->fault(), Json());
    const Json& output = interpreter_->output();
    const std::size_t size = dump_json(output).size();
    const std::size_t limit = std::min<std::size_t>(begin_->grants.limits.output.bytes, kMaxOutput);
    if (size > limit)
        return fail_with(Reason::limit_output,
                         fault("runtime", 413, "Output too large", fmt::format("the output has {} bytes, the limit is {}", size, limit)), Json());
    reporter_.finish(JobState::successful, Reason::completed, Json::object({{"output", output}}));
}

void Runner::fail_with(Reason reason, const workflows::Fault& fault, Json evidence)
{
    workflows::Fault cut = fault;
    for (std::string* text : {&cut.detail, &cut.title, &cut.instance, &cut.type}) *text = std::string(cut_text(*text, kMaxLogText));
    Json more = Json::object({{"error", workflows::to_json(cut)}});
    if (evidence.is_object()) more.set("evidence", std::move(evidence));
    reporter_.finish(JobState::failed, reason, std::move(more));
}

}  // namespace mill::runner
