#include "platform/linux/isolation.h"

#include <sstream>

#include <unistd.h>

#include <fmt/format.h>

#include "platform/confine_files.h"
#include "platform/files.h"
#include "platform/linux/seccomp_filter.h"
#include "platform/process.h"
#include "platform/sandbox.h"

namespace mill::platform {
namespace {

constexpr std::uint32_t kNobody = 65534;

/// Something is mounted over a part of /proc. (The one for binary formats is an empty folder, which the kernel lets pass.)
bool is_proc_covered()
{
    std::istringstream lines(read_file("/proc/self/mountinfo", 1024 * 1024).value_or(""));
    std::string line;
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        std::string word;
        for (int i = 0; i < 5; ++i) words >> word;  // the fifth is the place
        if (word.starts_with("/proc/") && word != "/proc/sys/fs/binfmt_misc") return true;
    }
    return false;
}

Isolation look()
{
    Isolation out;
    out.memory = machine_cgroups().memory();
    out.processes = machine_cgroups().processes();
    out.seccomp = seccomp_filter(false).has_value();
    out.landlock = can_confine_files();
    out.proc = kernel_allows().fresh_proc ? "own" : "none";
    out.nesting = kernel_allows().disable_userns ? "kernel" : "filter";
    SandboxSpec probe;
    probe.program = std::string("/usr/bin/true");
    probe.name = std::string("isolation-probe");
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

const Kernel& kernel_allows()
{
    static const Kernel found = [] {
        Kernel out;
        if (!is_proc_covered()) return out;
        const auto works = [](std::vector<std::string> arguments) {
            ProcessSpec probe;
            probe.program = "/usr/bin/bwrap";
            probe.arguments = {"--unshare-all", "--unshare-user", "--ro-bind", "/", "/"};
            for (std::string& argument : arguments) probe.arguments.push_back(std::move(argument));
            probe.arguments.insert(probe.arguments.end(), {"--", "/usr/bin/true"});
            if (geteuid() == 0) probe.uid = probe.gid = kNobody;
            const auto done = run_process(probe, {}, 1000, std::chrono::seconds(10));
            return done && done->ending.exit_code == 0 && done->ending.signal == 0;
        };
        out.fresh_proc = works({"--proc", "/proc"});
        out.disable_userns = works({"--disable-userns"});
        return out;
    }();
    return found;
}

void prepare_sandboxes()
{
    (void)machine_cgroups();
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
                              {"landlock", isolation.landlock},
                              {"proc", isolation.proc},
                              {"nesting", isolation.nesting}});
    if (!isolation.problem.empty()) json.set("problem", isolation.problem);
    return json;
}

}  // namespace mill::platform
