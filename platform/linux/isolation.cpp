#include "platform/linux/isolation.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/linux/seccomp_filter.h"
#include "platform/sandbox.h"

namespace mill::platform {
namespace {

constexpr std::uint32_t kNobody = 65534;

Isolation look()
{
    Isolation out;
    out.memory = machine_cgroups().memory();
    out.processes = machine_cgroups().processes();
    out.seccomp = seccomp_filter(false).has_value();
    constexpr unsigned kAskVersion = 1;
    const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, kAskVersion);
    out.landlock = abi > 0 ? static_cast<int>(abi) : 0;
    SandboxSpec probe;
    probe.program = "/usr/bin/true";
    probe.name = "isolation-probe";
    if (geteuid() == 0) probe.uid = probe.gid = kNobody;
    auto sandbox = start_sandbox(probe);
    if (!sandbox) {
        out.problem = sandbox.error().what;
        return out;
    }
    const auto ending = (*sandbox)->wait(std::chrono::seconds(10));
    if (!ending) out.problem = ending.error().what;
    else if (ending->exit_code != 0 || ending->signal != 0) out.problem = fmt::format("bubblewrap: {}", (*sandbox)->said());
    while (!out.problem.empty() && out.problem.back() == '\n') out.problem.pop_back();
    out.user_namespaces = out.problem.empty();
    return out;
}

}  // namespace

const Cgroups& machine_cgroups()
{
    static const Cgroups groups;
    return groups;
}

Isolation find_isolation()
{
    static const Isolation found = look();
    return found;
}

Json to_json(const Isolation& isolation)
{
    Json json = Json::object({{"userNamespaces", isolation.user_namespaces},
                              {"seccomp", isolation.seccomp},
                              {"memory", isolation.memory},
                              {"processes", isolation.processes},
                              {"landlock", isolation.landlock}});
    if (!isolation.problem.empty()) json.set("problem", isolation.problem);
    return json;
}

}  // namespace mill::platform
