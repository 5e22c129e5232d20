// platform/process.h -- starts a child process and says how it ended. Every child of ours starts here (Boost.Process).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "platform/base/units.h"
#include "platform/channel.h"

namespace mill::platform {

struct Ending {
    int exit_code = 0;           ///< valid when signal is 0
    int signal = 0;              ///< the signal that ended it
    bool timed_out = false;      ///< ended by us at the deadline
    bool cancelled = false;      ///< ended by us on request
    bool out_of_memory = false;  ///< its cgroup says so
    std::uint64_t cpu_ms = 0;
    std::uint64_t peak_memory = 0;  ///< bytes, 0 when unknown
};

struct ProcessSpec {
    std::string program;                             ///< absolute path
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment;  ///< all of it: nothing is inherited
    std::string folder;                              ///< empty: "/"
    std::vector<std::pair<int, const Handle*>> handles;  ///< (number in the child, what); all others are closed
    std::optional<std::uint32_t> uid, gid;           ///< only when we are root
    bool inherit_output = false;                     ///< stdout and stderr as ours; else /dev/null unless `handles` names 1 and 2
    bool new_group = true;
    bool end_group = false;                          ///< when it ends, what is left of its group is killed
    std::chrono::milliseconds grace{0};              ///< run_process: from SIGTERM to SIGKILL when it is stopped or over its time; 0: SIGKILL at once
    bool apart = false;                              ///< it signals only itself and its own, where the kernel can keep that (Linux 6.12)
    std::vector<int> join;                           ///< for platform/ only: open cgroup.procs files that the child enters
    ByteCount stack = mebibytes(8);                  ///< of its first thread, at most
    struct Bound { int what; std::uint64_t soft, hard; };
    std::vector<Bound> rlimits;                      ///< for platform/ only: RLIMIT_…
};

/// A running child. Killed (whole group) when destroyed unless released.
class Process {
public:
    virtual ~Process() = default;
    virtual std::int64_t id() const = 0;
    virtual void signal(int number) = 0;            ///< to the group
    /// Blocks. Errors: timeout, cancelled (the child still runs).
    virtual Result<Ending> wait(std::optional<std::chrono::milliseconds> limit = {}, std::stop_token stop = {}) = 0;
    virtual const Handle& end_handle() const = 0;   ///< readable when it has ended (a pidfd)
    virtual void release() = 0;                     ///< let it outlive this object
};

/// Errors: not_found (no such program), denied, unavailable (no memory, too many processes).
Result<std::unique_ptr<Process>> start_process(const ProcessSpec& spec);

struct User {
    std::uint32_t uid = 0, gid = 0;
};
std::optional<User> find_user(const std::string& name);  ///< nothing when there is no such user
bool is_root();
/// Gives the folder and all in it to a user, without following links. Errors: denied, unavailable.
Status give_tree(const std::string& path, User user, const std::string& except = {});
std::optional<User> owner_of(const std::string& path);
/// Our environment without the variables that belong to this process alone (the service manager's).
std::map<std::string, std::string> environment_for_children();

struct Captured {
    Ending ending;
    std::string out, err;        ///< at most `max_output` bytes each
    std::uint64_t dropped = 0;   ///< bytes beyond
};
/// Runs to the end, or kills the group at `limit` or on `stop`. `input` goes to stdin.
Result<Captured> run_process(const ProcessSpec& spec, std::string_view input, std::size_t max_output,
                             std::optional<std::chrono::milliseconds> limit, std::stop_token stop = {});

/// Runs a child whose standard output is read line by line (without the line's end; at most `max_line` bytes of it), standard
/// error as ours. `stop` sends SIGTERM to the group, and SIGKILL after `grace`. Returns when it has ended and all was read.
Result<Ending> run_lines(const ProcessSpec& spec, const std::function<void(std::string_view line)>& on_line, std::size_t max_line,
                         std::chrono::milliseconds grace, std::stop_token stop = {});

}  // namespace mill::platform
