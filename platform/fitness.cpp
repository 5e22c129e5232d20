#include "platform/fitness.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/files.h"
#include "platform/machine.h"

namespace mill::platform {
namespace {

void look_at_programs(Findings& report)
{
    std::vector<std::string> absent;
    for (const char* program : {"millwright-agent", "millwright-keeper", "millwright-broker", "millwright-runner"})
        if (!exists(sibling_program(program))) absent.emplace_back(program);
    if (absent.empty()) report.ok("programs", fmt::format("version {}, all in {}", MILL_VERSION, program_folder()));
    else report.error("programs", fmt::format("{} not in {}", fmt::join(absent, ", "), program_folder()), "install the package again, or build the missing programs");
}

void look_at_isolation(Findings& report, const Isolation& found)
{
    if (!found.problem.empty()) {
        report.error("sandbox", found.problem, "apt-get install bubblewrap; in a container allow user namespaces (or --privileged)");
        return;
    }
    const std::string words = fmt::format("bubblewrap starts; user namespaces {}, seccomp {}", found.user_namespaces ? "yes" : "no", found.seccomp ? "yes" : "no");
    if (found.proc == "own" && found.nesting == "kernel") report.ok("sandbox", words);
    else
        report.warning("sandbox", fmt::format("{}{}{}", words, found.proc == "own" ? "" : "; /proc is empty in it", found.nesting == "kernel" ? "" : "; further namespaces are refused by the filter alone"),
                       "parts of /proc are covered here (a container, or ProtectKernelTunables= in the unit): jobs run, some programs miss /proc");
    const std::string limits = fmt::format("memory by {}, processes by {}", found.memory, found.processes);
    if (found.memory.starts_with("cgroup")) report.ok("cgroups", limits);
    else report.warning("cgroups", limits, "jobs that state a limit for their whole tree are refused here; run it as the service (Delegate=yes), or give it a writable cgroup");
    if (found.landlock > 0) report.ok("landlock", fmt::format("ABI {}", found.landlock));
    else report.warning("landlock", "not in this kernel: one line of defence less", "a kernel with Landlock (Debian's own has it)");
}

void look_at_users(Findings& report)
{
    if (!is_root()) return;
    const bool users = find_user("millwright") && find_user("millwright-broker") && find_user("millwright-run");
    if (users) report.ok("users", "agent, broker and sandboxes have users of their own");
    else report.warning("users", "an agent that root starts here would keep broker or agent as root", "systemd-sysusers, as the package does, or useradd --system millwright, millwright-broker, millwright-run");
}

}  // namespace

std::optional<Isolation> isolation_of(const Json& json)
{
    if (!json["memory"].is_string()) return std::nullopt;
    Isolation out;
    out.user_namespaces = json["userNamespaces"].as_bool();
    out.seccomp = json["seccomp"].as_bool();
    out.memory = json["memory"].as_string();
    out.processes = json["processes"].as_string();
    out.landlock = static_cast<int>(std::clamp<std::int64_t>(json["landlock"].as_integer(), 0, 1000));
    out.proc = json["proc"].as_string();
    out.nesting = json["nesting"].as_string();
    out.problem = json["problem"].as_string();
    return out;
}

void look_at_machine(Findings& report, const std::optional<Isolation>& known)
{
    look_at_programs(report);
    const Json facts = find_facts();
    const std::optional<Isolation> here = known ? known : isolation_of(facts["isolation"]);
    Isolation unknown;
    unknown.problem = "nothing is known of it";
    look_at_isolation(report, here.value_or(unknown));
    look_at_users(report);
    std::vector<std::string> found;
    for (const auto& [name, version] : facts["programs"].as_object()) found.push_back(version.is_string() && !version.as_string().empty() ? name + " " + version.as_string() : name);
    report.ok("interpreters", found.empty() ? "none found: `run: script` has nothing to run with" : fmt::format("{}", fmt::join(found, ", ")));
    report.ok("screen", facts["screen"].as_bool() ? "there is a desktop session" : "none: jobs run without a desktop");
}

}  // namespace mill::platform
