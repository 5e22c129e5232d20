// What an operator asks of one agent's machine: that it examines itself, and that it runs a canary.
#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "platform/base/fields.h"
#include "platform/base/printable.h"
#include "protocol/canary.h"
#include "workflows/manifest.h"

namespace mill::factory::handler {
namespace {

std::string_view name(DoctorState::Stage stage)
{
    switch (stage) {
    case DoctorState::Stage::none: return "none";
    case DoctorState::Stage::asked: return "asked";
    case DoctorState::Stage::answered: return "answered";
    case DoctorState::Stage::failed: return "failed";
    }
    return "none";
}

Json doctor_json(const DoctorState& doctor)
{
    Json out = Json::object({{"agent", doctor.agent}, {"state", name(doctor.stage)}});
    if (doctor.stage != DoctorState::Stage::none) out.set("id", doctor.id).set("askedBy", doctor.by).set("askedAt", format_time(doctor.asked));
    if (!doctor.problem.empty()) out.set("problem", doctor.problem);
    if (doctor.answered)
        out.set("report", Json::object({{"id", doctor.report_id}, {"time", format_time(*doctor.answered)}, {"ok", all_well(doctor.findings)}, {"checks", to_json(doctor.findings)}}));
    return out;
}

template <class T>
bool passed_agent(const Call& call, const Result<T>& result)
{
    if (result || result.error().code != Errc::not_found) return passed(call, result);
    reply_problem(call, 404, fmt::format("agent '{}' is not there; GET /v1/agents lists them", call["name"].substr(0, 120)), "unknown_agent");
    return false;
}

}  // namespace

void ask_doctor(Service& service, const CallPtr& call)
{
    service.core.ask_doctor((*call)["name"], call->who(), [call](const Result<DoctorState>& state) {
        if (passed_agent(*call, state)) reply(*call, 202, doctor_json(*state));
    });
}

void get_doctor(Service& service, const CallPtr& call)
{
    service.core.doctor_state((*call)["name"], [call](const Result<DoctorState>& state) {
        if (passed_agent(*call, state)) reply(*call, 200, doctor_json(*state));
    });
}

void agent_doctor(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "doctor");
    fields.ignore_unknown();
    const std::string id = fields.text("id"), problem = fields.text("problem", "");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    Result<std::vector<Finding>> findings = problem.empty() ? parse_findings((*json)["checks"]) : fail(Errc::unavailable, one_line(problem.substr(0, 1000)));
    if (problem.empty() && !passed(*call, findings)) return;
    service.core.doctor_report(call->agent, id, std::move(findings), [call](const Result<Nothing>& kept) {
        if (passed(*call, kept)) reply_empty(*call);
    });
}

void run_canary(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "canary");
    const auto within = Milliseconds(fields.integer("withinMs", 1'000, 3'600'000, 60'000));
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    workflows::Manifest manifest;
    manifest.name = protocol::kCanaryName;
    manifest.version = protocol::kCanaryVersion;
    manifest.title = "Canary";
    manifest.workflows = {{"main", "main.yaml"}};
    // The same bytes again are no change.
    service.core.put_package(manifest.name, manifest.version, protocol::canary_package(), workflows::to_json(manifest), Json::object({{"main", Json()}}), PackageState::released, {"factory", {}},
                             [&service, call, within](const Result<PackageRecord>& stored) {
        if (!passed(*call, stored)) return;
        service.core.run_canary((*call)["name"], within, call->who(), [call](const Result<Accepted>& accepted) {
            if (!passed_agent(*call, accepted)) return;
            Json out = Json::object({{"jobUid", accepted->job.uid}, {"state", protocol::name(accepted->job.state)}, {"agent", (*call)["name"]}});
            if (!accepted->waiting_for.empty()) out.set("waitingFor", accepted->waiting_for);
            reply(*call, 202, out);
        });
    });
}

}  // namespace mill::factory::handler
