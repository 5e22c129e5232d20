#include "agent/self/rounds.h"

#include <fmt/format.h>

#include "agent/self/log_copy.h"
#include "platform/base/log.h"
#include "platform/files.h"
#include "platform/process.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::chrono::seconds kExamination{60}, kDelivery{20};
constexpr std::size_t kMostReport = 128 * 1024;

}  // namespace

Result<std::vector<Finding>> doctor_in_child(const DoctorOptions& options, std::stop_token stop)
{
    platform::ProcessSpec spec;
    spec.program = platform::sibling_program("millwright-agent");
    spec.arguments = {"doctor", "--json", "--data", options.data_folder};
    if (!options.config_path.empty()) spec.arguments.insert(spec.arguments.end(), {"--config", options.config_path});
    if (!options.factory.empty()) spec.arguments.insert(spec.arguments.end(), {"--factory", options.factory});
    spec.environment = platform::environment_for_children();
    auto ran = platform::run_process(spec, "", kMostReport, kExamination, stop);
    if (!ran) return fail("millwright-agent doctor", std::move(ran.error()));
    if (ran->ending.cancelled) return fail(Errc::cancelled, "the agent is stopping");
    if (ran->ending.timed_out)
        return fail(Errc::timeout, fmt::format("millwright-agent doctor --data {} did not end within {} s there and was ended: type it on that machine to see where it stays", options.data_folder, kExamination.count()));
    auto json = parse_json(ran->out);
    if (!json) return fail(Errc::corrupt, fmt::format("millwright-agent doctor ended with {} and gave no report: {}", ran->ending.signal != 0 ? fmt::format("signal {}", ran->ending.signal) : fmt::format("status {}", ran->ending.exit_code),
                                                      ran->err.substr(0, 500)));
    return parse_findings((*json)["checks"]);
}

void Rounds::begin(const std::string& id)
{
    const std::scoped_lock lock(mutex_);
    if (busy_ || id == id_) return;
    id_ = id;
    busy_ = true;
    thread_ = std::jthread([this, id](std::stop_token stop) {   // the one before has ended: it is not busy
        const LogCopy::Of of(identity_.factory_id);
        answer(id, stop);
        const std::scoped_lock done(mutex_);
        busy_ = stop.stop_requested();
    });
}

void Rounds::stop()
{
    std::jthread ending;
    {
        const std::scoped_lock lock(mutex_);
        busy_ = true;
        ending = std::move(thread_);
    }
}

void Rounds::answer(const std::string& id, std::stop_token stop)
{
    log::info("doctor", "the factory asks this agent to examine itself");
    const auto findings = doctor_in_child(options_, stop);
    if (stop.stop_requested()) return;
    Json body = Json::object({{"id", id}});
    if (findings) body.set("checks", to_json(*findings));
    else body.set("problem", findings.error().what);
    FactoryClient factory(identity_, config_, tokens_);
    if (auto sent = factory.post(protocol::route::kDoctor, dump_json(body), kDelivery, stop); !sent) log::warning("doctor", "the report did not reach the factory: {}", sent.error().what);
}

}  // namespace mill::agent
