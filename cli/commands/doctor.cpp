#include <cstdio>

#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "platform/base/http_date.h"
#include "platform/files.h"
#include "platform/sandbox.h"

namespace mill::cli {

namespace {

/// One thing that was looked at. `fix` says what to do.
struct Check {
    std::string name, state, text, fix;
};

void look_at_machine(std::vector<Check>& out)
{
    std::string absent;
    for (const char* program : {"millwright-agent", "millwright-keeper", "millwright-broker", "millwright-runner"})
        if (!platform::exists(platform::sibling_program(program))) absent += (absent.empty() ? "" : ", ") + std::string(program);
    out.push_back(absent.empty() ? Check{"programs", "ok", "all in " + platform::program_folder(), ""}
                                 : Check{"programs", "error", absent + " not in " + platform::program_folder(), "install or build the missing programs beside this one"});

    const platform::Isolation found = platform::find_isolation();
    if (!found.problem.empty()) {
        out.push_back({"sandbox", "error", found.problem, "apt-get install bubblewrap; in a container allow user namespaces (or --privileged)"});
    } else {
        const bool whole = found.proc == "own" && found.nesting == "kernel";
        out.push_back({"sandbox", whole ? "ok" : "warning",
                       fmt::format("bubblewrap starts; user namespaces {}, seccomp {}{}{}", found.user_namespaces ? "yes" : "no", found.seccomp ? "yes" : "no",
                                   found.proc == "own" ? "" : "; /proc is empty in it", found.nesting == "kernel" ? "" : "; further namespaces are refused by the filter alone"),
                       whole ? "" : "parts of /proc are covered here (a container, or ProtectKernelTunables= in the unit): jobs run, some programs miss /proc"});
    }
    const bool cgroup = found.memory.starts_with("cgroup");
    out.push_back({"limits", cgroup ? "ok" : "warning", fmt::format("memory by {}, processes by {}", found.memory, found.processes),
                   cgroup ? "" : "limits hold per process only; jobs that state a limit for the whole tree are refused (give the agent a writable cgroup)"});
    out.push_back({"landlock", found.landlock > 0 ? "ok" : "warning", found.landlock > 0 ? fmt::format("ABI {}", found.landlock) : "not in this kernel: one line of defence less", ""});
    if (platform::is_root()) {
        const bool users = platform::find_user("millwright") && platform::find_user("millwright-broker") && platform::find_user("millwright-run");
        out.push_back({"users", users ? "ok" : "warning", users ? "agent, broker and sandboxes have users of their own" : "agent or broker of an agent that is started here would run as root",
                       users ? "" : "useradd --system millwright, millwright-broker and millwright-run, as the package does"});
    }
}

void look_at_settings(const Settings& settings, std::vector<Check>& out)
{
    if (!settings.problem.empty()) out.push_back({"configuration", "error", settings.problem, "mend the file, or `millwright login` writes a new one"});
    else if (settings.factory.empty()) out.push_back({"configuration", "warning", "no factory is known", "millwright login --factory URL"});
    else
        out.push_back({"configuration", "ok", fmt::format("factory {} from {}, token from {}", settings.factory, settings.factory_from,
                                                          settings.token.empty() ? "nowhere" : settings.token_from), ""});
}

void look_at_clock(const platform::HttpResponse& answer, std::vector<Check>& out)
{
    const Result<WallTime> theirs = parse_http_date(answer.header("date"));
    if (!theirs) return;
    const std::int64_t seconds = (system_clock().now() - *theirs).count() / 1'000'000;
    const std::int64_t off = seconds < 0 ? -seconds : seconds;
    out.push_back({"clock", off <= 5 ? "ok" : off <= 30 ? "warning" : "error",
                   off <= 1 ? "agrees with the factory's" : fmt::format("is {} s {} the factory's", off, seconds > 0 ? "ahead of" : "behind"),
                   off <= 5 ? "" : "synchronise the clocks (systemd-timesyncd or chrony): certificates and times in logs go by them, and agents of earlier versions get no session beyond a minute"});
}

void look_at_factory(Context& context, std::vector<Check>& out)
{
    Api api(context.settings.factory, context.settings.token, context.settings.ca_file, context.stop);
    const SteadyTime begun = system_clock().steady();
    const Result<platform::HttpResponse> health = api.raw({.path = "/readyz", .timeout = std::chrono::seconds(10)});
    if (!health) {
        out.push_back({"factory", "error", health.error().what, "start it (millwright-factory --data DIR), or correct the address"});
        return;
    }
    const std::string took = show_span(system_clock().steady() - begun);
    const bool ready = health->status == 200;
    out.push_back({"factory", ready ? "ok" : "error", fmt::format("{} answered {} in {}", api.factory(), health->status, took), ready ? "" : one_line(health->body)});
    look_at_clock(*health, out);
    if (const Result<Json> said = parse_json(health->body); said && (*said)["packageChecks"].is_string()) {
        const std::string text = one_line((*said)["packageChecks"].as_string());
        const bool able = text == "ok";
        out.push_back({"checks", able ? "ok" : "error", able ? "the factory checks packages in its sandbox" : text,
                       able ? "" : "on the factory's machine: apt-get install bubblewrap, allow user namespaces, millwright-runner beside millwright-factory"});
    }

    if (context.settings.token.empty()) {
        out.push_back({"token", "warning", "none is known", "millwright login"});
        return;
    }
    const Result<Json> who = api.get("/v1/session");
    if (!who) {
        out.push_back({"token", "error", fmt::format("from {}: {}", context.settings.token_from, who.error().what), "millwright login stores a valid one"});
        return;
    }
    const std::string& name = (*who)["name"].as_string();
    const std::string& role = (*who)["role"].as_string();
    out.push_back({"token", "ok", one_line(fmt::format("of {} ({}){}", name, (*who)["kind"].as_string(), role.empty() ? "" : ", role " + role)), ""});

    if (const Result<Json> agents = api.get("/v1/agents"); agents) {
        std::size_t online = 0;
        std::string away;
        for (const Json& agent : items(*agents)) {
            if (agent["state"].as_string() == "online") ++online;
            else away += fmt::format("{}{} is {}", away.empty() ? "" : ", ", one_line(agent["name"].as_string()), one_line(agent["state"].as_string()));
        }
        out.push_back({"agents", online > 0 ? "ok" : "warning", fmt::format("{} of {} online{}", online, items(*agents).size(), away.empty() ? "" : "; " + away),
                       online > 0 ? "" : "millwright agents invite, then millwright-agent enrol and run on a machine"});
    }
    if (const Result<Json> dead = api.get("/v1/deliveries", {{"state", "dead"}, {"limit", "100"}}); dead && !items(*dead).empty())
        out.push_back({"deliveries", "warning", fmt::format("{} did not arrive", items(*dead).size()), "millwright deliveries --state dead"});
}

Result<int> run(Context& context, const Arguments&)
{
    std::vector<Check> checks;
    look_at_machine(checks);
    look_at_settings(context.settings, checks);
    if (!context.settings.factory.empty()) look_at_factory(context, checks);
    Console& console = context.console;
    int status = kDone;
    Json list = Json::array();
    for (const Check& check : checks) {
        if (check.state == "error") status = kFaulted;
        if (console.json()) {
            list.push(Json::object({{"check", check.name}, {"state", check.state}, {"text", check.text}, {"fix", check.fix}}));
            continue;
        }
        const Style style = check.state == "ok" ? Style::good : check.state == "error" ? Style::bad : Style::busy;
        console.line(fmt::format("{} {:<14}{}", console.paint(style, fmt::format("{:<8}", check.state)), check.name, printable(check.text)));
        if (!check.fix.empty()) console.line(fmt::format("{:<23}→ {}", "", printable(check.fix)));
    }
    if (console.json()) console.document(Json::object({{"ok", status == kDone}, {"checks", list}}));
    return status;
}

}  // namespace

Command doctor_command()
{
    return {.name = "doctor",
            .summary = "Look at this machine, the configuration and the factory, and say what to mend",
            .examples = "millwright doctor\nmillwright doctor --factory https://factory.example.com --json",
            .options = {},
            .run = run};
}

}  // namespace mill::cli
