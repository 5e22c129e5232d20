#include "agent/job_words.h"

#include <fmt/format.h>

#include "platform/base/encode.h"

namespace mill::agent {
namespace {

using protocol::JobState;
using protocol::Reason;

constexpr int kSignalCpu = 24;   // SIGXCPU

Json object_or_empty(const Json& value) { return value.is_object() ? value : Json::object(); }

}  // namespace

keeper::SandboxRequest sandbox_request(const RunSpec& spec)
{
    keeper::SandboxRequest request;
    request.package_path = spec.package_path;
    request.user = spec.run_as;
    request.commands = !spec.grants.commands.empty();
    request.bridge = request.commands && !spec.grants.network.empty();
    if (request.commands) {
        request.read = spec.grants.read;
        request.write = spec.grants.write;
    }
    const Limits& limits = spec.grants.limits;
    request.memory = limits.memory.bytes;
    request.cpu_ms = static_cast<std::uint64_t>(limits.cpu.count());
    // The keeper's clock does not stand still for a person who steps: the time limit is counted by JobRun.
    constexpr std::chrono::milliseconds kStepping = std::chrono::hours(24 * 7);
    request.time_ms = static_cast<std::uint64_t>((spec.step ? kStepping : limits.time).count());
    request.processes = limits.processes;
    request.output = limits.output.bytes;
    request.limits_stated = limits.stated;
    return request;
}

Json open_words(const RunSpec& spec, const std::optional<SealedBox>& sealed, const std::string& missing)
{
    Json open = Json::object({{"key", spec.id.key()},
                              {"grants", to_json(spec.grants)},
                              {"credentials", object_or_empty(spec.credentials)},
                              {"variables", object_or_empty(spec.variables)}});
    if (sealed) open.set("sealed", Json::object({{"to", to_base64(sealed->broker_key)}, {"agent", sealed->agent}, {"box", sealed->box}}));
    if (!missing.empty()) open.set("missing", missing);
    return Json::object({{"open", std::move(open)}});
}

Json stop_words(const Stop& stop, SteadyTime now, bool end)
{
    const auto after = [&](SteadyTime time) { return (time - stop.asked).count() / 1000; };
    Json out = Json::object({{"askedAt", format_time(stop.asked_at)}, {"graceMs", stop.grace.count()}});
    if (stop.killed) out.set("killedAfterMs", after(*stop.killed));
    out.set(end ? "endedAfterMs" : "answeredAfterMs", after(now));
    return out;
}

Json begin_words(const RunSpec& spec)
{
    const Json grants = to_json(spec.grants);
    Json begin = Json::object({{"key", spec.id.key()},
                               {"workflow", spec.workflow},
                               {"input", spec.input},
                               {"variables", object_or_empty(spec.variables)},
                               {"grants", grants},
                               {"limits", grants["limits"]},
                               {"firstSequence", 2},
                               {"package", "/package.mwp"},
                               {"events", spec.events},
                               {"trace", spec.trace},
                               {"runtime", object_or_empty(spec.runtime)}});
    begin.set("asks", spec.asks);
    if (!spec.snapshot.is_null()) begin.set("input", Json()).set("snapshot", spec.snapshot).set("firstSequence", spec.last_sequence + 1);
    if (spec.details) begin.set("details", true);
    if (spec.step) begin.set("step", true);
    if (!spec.rehearsal.is_null()) begin.set("rehearsal", spec.rehearsal);
    return Json::object({{"begin", std::move(begin)}});
}

Cause cause_of(const RunnerEnd& end, const std::optional<Cause>& cause, const RunSpec& spec)
{
    const Limits& limits = spec.grants.limits;
    if (end.flag == "memory") return {JobState::failed, Reason::limit_memory, fmt::format("the job used more than its {}", format_bytes(limits.memory)), Json()};
    if (cause) return *cause;
    if (end.flag == "time") return {JobState::failed, Reason::timeout, fmt::format("the job ran longer than its {}", format_duration(limits.time)), Json()};
    if (end.flag == "cpu" || end.signal == kSignalCpu)
        return {JobState::failed, Reason::limit_cpu, fmt::format("the job used more than its {} of processor time", format_duration(limits.cpu)), Json()};
    if (end.said.starts_with("bwrap: "))  // it never became the runner
        return {JobState::failed, Reason::refused, "the sandbox cannot be made: " + end.said.substr(7, end.said.find('\n') - 7), Json::object({{"said", end.said}})};
    const std::string how = end.signal != 0 ? fmt::format("signal {}", end.signal) : fmt::format("exit status {}", end.exit);
    const Json said = end.said.empty() ? Json() : Json::object({{"said", end.said}});
    return {JobState::failed, Reason::runner_lost, "the runner ended without a word: " + how, said};
}

Json isolation_words(const std::vector<std::string>& notes)
{
    if (notes.empty()) return {};
    Json list = Json::array();
    for (const std::string& note : notes) list.push(Json(note));
    return Json::object({{"evidence", Json::object({{"isolation", std::move(list)}})}});
}

Json ending_words(const Cause& cause, const RunnerEnd* end)
{
    Json evidence = object_or_empty(cause.evidence);
    if (end != nullptr) evidence.set("exit", end->exit).set("signal", end->signal).set("cpuMs", end->cpu_ms).set("peakBytes", end->peak_bytes);
    if (!cause.why.empty()) evidence.set("why", cause.why);
    Json out = Json::object({{"evidence", std::move(evidence)}});
    if (cause.state == JobState::failed) out.set("error", error_of(cause));
    return out;
}

Json error_of(const Cause& cause)
{
    const bool timeout = cause.reason == Reason::timeout;
    return Json::object({{"type", timeout ? "https://serverlessworkflow.io/spec/1.0.0/errors/timeout"
                                          : "https://serverlessworkflow.io/spec/1.0.0/errors/runtime"},
                         {"status", timeout ? 408 : 500},
                         {"title", std::string(protocol::name(cause.reason))},
                         {"detail", cause.why}});
}

}  // namespace mill::agent
