// Agents that examine themselves: the ask goes out with a poll's answer, the report comes back by a call of its own.
#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/ids.h"

namespace mill::factory::core {
namespace {

// An agent ends its examination after a minute; before its poll it may rest for as long as it said.
constexpr Milliseconds kDoctorPatience{90'000}, kDoctorAgain{20'000};

}  // namespace

DoctorState CoreImpl::doctor_of(const Agent& agent) const
{
    using Stage = DoctorState::Stage;
    DoctorState out;
    out.agent = agent.record.name;
    if (!agent.doctor) return out;
    const Doctor& doctor = *agent.doctor;
    out.id = doctor.id;
    out.by = doctor.by;
    out.asked = doctor.asked;
    out.report_id = doctor.report_id;
    out.answered = doctor.answered;
    out.findings = doctor.findings;
    out.problem = doctor.problem;
    out.stage = doctor.report_id == doctor.id ? Stage::answered : !doctor.problem.empty() ? Stage::failed : Stage::asked;
    if (out.stage != Stage::asked) return out;
    if (clock_.steady() >= doctor.until) {
        out.stage = Stage::failed;
        out.problem = fmt::format("{} {} within {}; on its machine: millwright-agent doctor --data DIR", agent.record.name,
                                  doctor.sent ? "was asked and did not report" : "did not ask for work", format_duration(kDoctorPatience + agent.next_poll));
    } else if (!agent.online) {
        out.stage = Stage::failed;
        out.problem = fmt::format("{} went offline before it had reported; on its machine: millwright-agent doctor --data DIR", agent.record.name);
    }
    return out;
}

std::string CoreImpl::doctor_due(Agent& agent)
{
    if (!agent.doctor || !agent.knows_doctor) return {};
    Doctor& doctor = *agent.doctor;
    const SteadyTime now = clock_.steady();
    if (doctor.report_id == doctor.id || !doctor.problem.empty() || now >= doctor.until) return {};
    if (doctor.sent && now - *doctor.sent < kDoctorAgain) return {};   // again: the answer that carried it may have been lost
    doctor.sent = now;
    return doctor.id;
}

void CoreImpl::ask_doctor(std::string name, Who who, Done<DoctorState> done)
{
    queue_.submit<DoctorState>(std::move(done), [this, name = std::move(name), who = std::move(who)]() -> Result<DoctorState> {
        const auto found = agent_by_name(name);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        constexpr std::string_view there = "on its machine: millwright-agent doctor --data DIR";
        if (agent.record.frozen || agent.record.public_key.empty())
            return fail(Errc::conflict, fmt::format("{} is {}: nothing of it is listened to; {}", name, agent.record.frozen ? "frozen" : "revoked", there));
        if (!agent.online)
            return fail(Errc::conflict, agent.record.offline_since ? fmt::format("{} is offline since {}{}{}; {}", name, clock_text(*agent.record.offline_since),
                                                                                 agent.record.goodbye.empty() ? "" : ", it said: ", agent.record.goodbye, there)
                                                                   : fmt::format("{} has not been seen yet; {}", name, there));
        if (!agent.knows_doctor)
            return fail(Errc::conflict, fmt::format("the program of {} is too old to be asked: upgrade millwright-agent there, or {}", name, there));
        if (doctor_of(agent).stage == DoctorState::Stage::asked) return doctor_of(agent);
        if (auto ok = audit(who, "doctor", "Agent", name); !ok) return fail(ok.error());
        if (!agent.doctor) agent.doctor.emplace();
        Doctor& doctor = *agent.doctor;
        doctor.id = new_uid();
        doctor.by = who.name;
        doctor.problem.clear();
        doctor.asked = clock_.now();
        doctor.until = clock_.steady() + kDoctorPatience + agent.next_poll;
        doctor.sent.reset();
        stirred_.insert(agent.key);
        return doctor_of(agent);
    });
}

void CoreImpl::doctor_state(std::string name, Done<DoctorState> done)
{
    queue_.submit<DoctorState>(std::move(done), [this, name = std::move(name)]() -> Result<DoctorState> {
        const auto found = agent_by_name(name);
        if (!found) return fail(found.error());
        return doctor_of(**found);
    });
}

void CoreImpl::doctor_report(std::string id, std::string ask, Result<std::vector<Finding>> findings, Done<Nothing> done)
{
    auto kept = std::make_shared<Result<std::vector<Finding>>>(std::move(findings));
    queue_.submit<Nothing>(std::move(done), [this, id = std::move(id), ask = std::move(ask), kept]() -> Result<Nothing> {
        const auto found = agent_by_id(id);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        if (!agent.doctor || agent.doctor->id != ask) return fail(Errc::conflict, "nobody waits for this report");
        Doctor& doctor = *agent.doctor;
        if (doctor.report_id == ask || !doctor.problem.empty()) return Nothing{};   // said twice
        if (!*kept) {
            doctor.problem = kept->error().what;
            return Nothing{};
        }
        doctor.report_id = ask;
        doctor.answered = clock_.now();
        doctor.findings = std::move(**kept);
        return Nothing{};
    });
}

}  // namespace mill::factory::core
