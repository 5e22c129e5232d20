#include "agent/companion/own_agent.h"

#include <csignal>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/base/log.h"
#include "platform/files.h"
#include "platform/machine.h"
#include "platform/own_socket.h"

namespace mill::companion {
namespace {

constexpr std::chrono::seconds kControlAnswer{5}, kAgentEnd{25}, kAgentKill{5};

Result<platform::LocalResponse> control(const std::string& data, const char* method, const char* target, std::string body)
{
    platform::LocalRequest request;
    request.method = method;
    request.target = target;
    request.body = std::move(body);
    return platform::call_own_socket(data + "/control", request, kControlAnswer);
}

}  // namespace

void OwnAgent::start()
{
    if (control(data_, "GET", "/healthz", "")) return log::info("agent", "an agent runs with {} already", data_);
    platform::ProcessSpec spec;
    spec.program = platform::sibling_program("millwright-agent");
    spec.arguments = {"run", "--data", data_};
    if (!config_.empty()) spec.arguments.insert(spec.arguments.end(), {"--config", config_});
    spec.environment = platform::environment_for_children();
    spec.inherit_output = true;
    auto started = platform::start_process(spec);
    if (!started) return log::error("agent", "{}: {}", spec.program, started.error().what);
    process_ = std::move(*started);
    process_->release();   // a companion that is killed leaves it to its jobs
    log::info("agent", "started, process {}", process_->id());
}

void OwnAgent::on_ended()
{
    const auto ending = process_->wait(std::chrono::milliseconds(0));
    if (ending) log::warning("agent", "it ended with {}; it is started again with the next session, or: millwright-agent run --data {}", ending->signal != 0 ? -ending->signal : ending->exit_code, data_);
    process_.reset();
}

void OwnAgent::end()
{
    std::int64_t keeper = process_ ? process_->id() : 0;
    if (keeper == 0)
        if (auto status = control(data_, "GET", "/status", "")) keeper = parse_json(status->body).value_or(Json())["keeper"].as_integer();
    const bool asked = control(data_, "POST", "/stop", dump_json(Json::object({{"why", "the desktop session is over"}}))).has_value();
    if (!asked && process_) process_->signal(SIGTERM);
    const SteadyTime limit = system_clock().steady() + kAgentEnd;
    if (process_) {
        if (!process_->wait(kAgentEnd)) {
            process_->signal(SIGKILL);
            (void)process_->wait(kAgentKill);
        }
        return;
    }
    while (asked && keeper > 0 && platform::process_is_there(keeper) && system_clock().steady() < limit) system_clock().sleep(Milliseconds(50), {});
}

}  // namespace mill::companion
