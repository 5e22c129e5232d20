#include "agent/self/control_command.h"

#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "agent/complain.h"
#include "agent/self/control.h"
#include "agent/self/status.h"
#include "platform/base/printable.h"
#include "platform/base/redact.h"
#include "platform/machine.h"

namespace mill::agent {
namespace {

constexpr int kWrong = 1, kUsage = 64;
constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::seconds kRestart{30};

int complain_of(const Error& error, const std::string& data_folder)
{
    if (error.code == Errc::not_found)
        return complain(kNotRunning, fmt::format("no agent runs with the data folder {} (millwright-agent run, or systemctl status millwright-agent)", data_folder));
    if (error.code == Errc::denied) return complain(kNoAnswer, fmt::format("{}: only root and the user of the agent may speak to it", error.what));
    return complain(kNoAnswer, error.what);
}

Result<Json> ask(const ControlOptions& options, const std::string& method, const std::string& target, const Json& body, int* status = nullptr)
{
    auto answer = platform::call_local_socket(control_path(options.data_folder), {method, target, body.is_null() ? "" : dump_json(body), ""}, kPatience);
    if (!answer) return fail(std::move(answer.error()));
    auto json = parse_json(answer->body);
    if (!json) return fail(Errc::corrupt, "the agent's answer is no JSON");
    if (status != nullptr) *status = answer->status;
    return json;
}

int show_status(const ControlOptions& options)
{
    auto status = ask(options, "GET", "/status", Json());
    if (!status) return complain_of(status.error(), options.data_folder);
    if (options.json) fmt::print("{}\n", dump_json(*status));
    else fmt::print("{}", words_of_status(*status, system_clock().now()));
    return (*status)["problems"].empty() ? 0 : kWrong;
}

/// Until another process answers: the agent is back.
int wait_for_new(const ControlOptions& options, std::int64_t before)
{
    const SteadyTime limit = system_clock().steady() + kRestart;
    while (system_clock().steady() < limit) {
        if (auto status = ask(options, "GET", "/status", Json()); status && (*status)["pid"].as_integer() != before) {
            fmt::print("process {} took over; {} jobs go on\n", (*status)["pid"].as_integer(), (*status)["slots"]["taken"].as_integer());
            return 0;
        }
        system_clock().sleep(Milliseconds(50), {});
    }
    return complain(kNoAnswer, fmt::format("the agent did not come back within {} s; its log says why", kRestart.count()));
}

/// Drained: nothing runs and all is reported, or the factory does not take the reports.
int wait_for_drained(const ControlOptions& options)
{
    bool said = false;
    while (true) {
        auto status = ask(options, "GET", "/status", Json());
        // A reload or a crash: the pause outlives it.
        if (!status && status.error().code != Errc::not_found) return complain_of(status.error(), options.data_folder);
        if (status && (*status)["slots"]["taken"].as_integer() == 0) {
            if ((*status)["outbox"]["events"].as_integer() == 0) {
                fmt::print("drained: nothing runs, all reports are delivered; it takes no new jobs until: millwright-agent resume --data {}\n", options.data_folder);
                return 0;
            }
            if (!(*status)["problems"].empty() && !std::exchange(said, true))
                std::fprintf(stderr, "nothing runs any more; waiting for the factory to take the last reports (%s)\n", one_line((*status)["problems"].as_array()[0].as_string()).c_str());
        }
        system_clock().sleep(Milliseconds(100), {});
    }
}

/// Until the keeper is gone. An agent that crashed on its way out and was started again is asked once more.
int wait_for_end(const ControlOptions& options, std::int64_t keeper, std::int64_t agent, const Json& body)
{
    while (true) {
        auto status = ask(options, "GET", "/status", Json());
        if (!status && status.error().code == Errc::not_found && !platform::process_is_there(keeper)) {
            fmt::print("stopped\n");
            return 0;
        }
        if (status && (*status)["pid"].as_integer() != agent) {
            agent = (*status)["pid"].as_integer();
            (void)ask(options, "POST", "/stop", body);
        }
        system_clock().sleep(Milliseconds(100), {});
    }
}

}  // namespace

int run_control(const ControlOptions& options)
{
    if (options.verb == "status") return show_status(options);
    auto before = ask(options, "GET", "/status", Json());
    if (!before) return complain_of(before.error(), options.data_folder);
    Json body = Json::object({});
    if (!options.why.empty()) body.set("why", options.why);
    if (!options.until.empty()) body.set("until", options.until);
    if (!options.time.empty()) body.set("for", options.time);
    if (!options.after.empty()) body.set("after", options.after);
    if (!options.within.empty()) body.set("within", options.within);
    int status = 0;
    auto answer = ask(options, "POST", options.verb == "drain" ? "/pause" : "/" + options.verb, body, &status);
    if (!answer) return complain_of(answer.error(), options.data_folder);
    if (status >= 400) return complain(status == 400 ? kUsage : kRefused, (*answer)["detail"].as_string());
    if (options.json) fmt::print("{}\n", dump_json(*answer));
    if (options.verb == "reload" || options.verb == "renew") return options.no_wait ? 0 : wait_for_new(options, (*before)["pid"].as_integer());
    if (options.verb == "drain") return options.no_wait ? 0 : wait_for_drained(options);
    if (options.verb == "stop")
        return options.no_wait ? 0 : wait_for_end(options, (*before)["keeper"].as_integer(), (*before)["pid"].as_integer(), body);
    if (!options.json && options.verb == "pause")
        fmt::print("no new jobs{}; what runs goes on ({} now)\n", answer->contains("until") ? " until " + (*answer)["until"].as_string() : "", (*before)["slots"]["taken"].as_integer());
    if (!options.json && options.verb == "resume") fmt::print("takes jobs again\n");
    return 0;
}

}  // namespace mill::agent
