// platform/sandbox.h -- starts one untrusted program in a sandbox and says how it ended.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/base/json.h"
#include "platform/base/limits.h"
#include "platform/channel.h"
#include "platform/process.h"

namespace mill::platform {

struct Mount {
    std::string outside, inside;
    bool writable = false;
    /// Because a job asked for it: `kept_out` holds for it, and the program is told by one more `--mounted PLACE=IDENTITY` behind its arguments
    /// what must lie there. It is to look (platform/mounted.h) before it reads anything from outside.
    bool granted = false;
};

struct SandboxSpec {
    std::string program;                      ///< path outside; seen as /millwright/NAME inside
    std::vector<std::string> arguments;
    std::vector<Mount> mounts;                ///< beside the read-only /usr, /etc subset, private /tmp, /work, minimal /dev and /proc
    std::string kept_out;                     ///< a folder of which nothing is seen inside, whatever is mounted; empty: none
    std::vector<std::pair<int, const Handle*>> handles;
    Limits limits;
    bool lifeline = false;                    ///< the program knows kLifeOption (platform/orphan.h)
    bool commands = false;                    ///< execve stays possible inside
    std::optional<std::uint32_t> uid, gid;    ///< required when we are root: never uid 0
    std::string name;                         ///< of the cgroup: the attempt's key
};

/// What this machine can give; reported as facts of the agent. Found by trying, once.
struct Isolation {
    bool user_namespaces = false;
    bool seccomp = false;
    std::string memory;      ///< "cgroup-v2", "cgroup-v1", "rlimit"
    std::string processes;   ///< "cgroup-v2", "cgroup-v1", "none"
    int landlock = 0;        ///< ABI, 0 = none
    std::string proc;        ///< "own": a sandbox sees its own processes; "none": /proc is an empty folder in it
    std::string nesting;     ///< how a namespace in the sandbox's own is refused: "kernel" and filter, or "filter" alone
    std::string problem;     ///< why no sandbox can be started at all; empty when it can
};
Isolation find_isolation();
Json to_json(const Isolation& isolation);  ///< members as above, `userNamespaces` for the first

/// Groups of sandboxes that have ended, whose last process had not yet died then, are removed. True while some are left. Thread: any.
bool tidy_sandboxes();

/// Looks for control groups now. Before the first child is started a group that holds us alone (a unit with Delegate=yes) can
/// still be used; later only the others.
void prepare_sandboxes();

class Sandbox {
public:
    virtual ~Sandbox() = default;  ///< kills the tree
    virtual const Handle& end_handle() const = 0;
    virtual void kill() = 0;       ///< SIGKILL to the init of its pid namespace, then to all of its cgroup
    virtual Result<Ending> wait(std::optional<std::chrono::milliseconds> limit = {}, std::stop_token stop = {}) = 0;
    virtual const std::vector<std::string>& notes() const = 0;  ///< limits that hold per process only, and the like
    virtual std::string said() const = 0;      ///< the first 4 KiB of its standard error: outside text
    virtual std::uint64_t cpu_ms() const = 0;  ///< of the tree so far, 0 when unknown
};

/// Thread: the one that lives as long as the sandbox should (bubblewrap's --die-with-parent follows it).
/// Errors: denied (the machine cannot give an isolation that is asked for, uid 0, a path that the sandbox's user cannot reach or
/// that may not be mounted; says which); not_found (no bubblewrap, no such path).
Result<std::unique_ptr<Sandbox>> start_sandbox(const SandboxSpec& spec);

/// Runs to the end, with `input` as standard input; killed at `limits.time`, on `stop`, and when it prints more than
/// `max_output` bytes (then `dropped` is not 0). Descriptors 0 to 2 must not be among `spec.handles`.
/// Blocks. Errors: those of start_sandbox.
Result<Captured> run_sandbox(const SandboxSpec& spec, std::string_view input, std::size_t max_output, std::stop_token stop = {});

/// Whom sandboxes run as when we are root: millwright-run where there is such a user, else nobody. Nothing when we are not root.
std::optional<User> sandbox_user();

}  // namespace mill::platform
