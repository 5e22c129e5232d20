// One sandbox by bubblewrap: namespaces and mounts by it, the filter, the groups and the user by us.
#include "platform/sandbox.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/files.h"
#include "platform/linux/cgroup.h"
#include "platform/linux/isolation.h"
#include "platform/linux/sandbox_layout.h"
#include "platform/linux/seccomp_filter.h"
#include "platform/orphan.h"
#include "platform/posix/capture.h"

namespace mill::platform {
namespace {

constexpr const char* kBubblewrap = "/usr/bin/bwrap";
constexpr std::size_t kSaid = 4096;
constexpr rlim_t kOpenFiles = 1024, kMostOpenFiles = 4096;  // as login shells have it, and for programs that ask for more

/// A file in memory that cannot grow: whatever the program says, it costs this much.
Handle make_bounded_file()
{
    Handle file(memfd_create("said", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (file.valid() && (ftruncate(file.native(), kSaid) != 0 || fcntl(file.native(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0))
        return {};
    return file;
}

/// The number behind `"child-pid": ` in what bubblewrap wrote to its --info-fd.
pid_t child_pid(const std::string& info)
{
    const auto at = info.find("\"child-pid\":");
    return at == std::string::npos ? 0 : static_cast<pid_t>(std::strtol(info.c_str() + at + 12, nullptr, 10));
}

pid_t parent_of(pid_t pid)
{
    const std::string stat = read_file(fmt::format("/proc/{}/stat", pid), 4096).value_or("");
    const auto end = stat.rfind(") ");  // the name before it may hold anything
    return end == std::string::npos || stat.size() < end + 5 ? 0 : static_cast<pid_t>(std::strtol(stat.c_str() + end + 4, nullptr, 10));
}

class LinuxSandbox : public Sandbox {
public:
    std::unique_ptr<Process> process;
    std::unique_ptr<Cgroup> group;
    Handle info, text, life;   // life: nobody else reads there, so its other end tells whether we live
    std::vector<Handle> granted;
    std::vector<std::string> remarks;

    ~LinuxSandbox() override
    {
        if (process && !ended_) LinuxSandbox::kill();
    }

    const Handle& end_handle() const override { return process->end_handle(); }
    const std::vector<std::string>& notes() const override { return remarks; }
    std::uint64_t cpu_ms() const override { return group ? group->cpu_ms() : 0; }

    void kill() override
    {
        if (ended_) return;
        killed_ = true;
        // The first process inside: with it the kernel ends all the others. It is a child of ours' child; asked anew, since
        // its number may belong to somebody else once bubblewrap has waited for it.
        char bytes[512];
        const ssize_t got = read(info.native(), bytes, sizeof bytes);
        if (got > 0) first_ = child_pid(std::string(bytes, static_cast<std::size_t>(got)));
        if (first_ > 1) {
            const Handle first(static_cast<int>(syscall(SYS_pidfd_open, first_, 0)));  // before its parent is asked: the number may change hands
            if (first.valid() && parent_of(first_) == static_cast<pid_t>(process->id())) syscall(SYS_pidfd_send_signal, first.native(), SIGKILL, nullptr, 0);
        }
        process->signal(SIGKILL);
        if (group) group->kill_all();
    }

    Result<Ending> wait(std::optional<std::chrono::milliseconds> limit, std::stop_token stop) override
    {
        if (ended_) return *ended_;
        auto ending = process->wait(limit, stop);
        if (!ending) return ending;
        if (ending->signal == 0 && ending->exit_code > 128 && ending->exit_code <= 128 + 64) {
            ending->signal = ending->exit_code - 128;  // as bubblewrap tells that a signal ended its child
            ending->exit_code = 0;
        }
        ending->cancelled = killed_;
        if (group) {
            group->kill_all();
            ending->out_of_memory = ending->signal == SIGKILL && !killed_ && group->out_of_memory();
            if (const auto peak = group->peak_memory(); peak != 0) ending->peak_memory = peak;
            if (const auto cpu = group->cpu_ms(); cpu != 0) ending->cpu_ms = cpu;
        }
        ended_ = *ending;
        group.reset();
        granted.clear();
        return ending;
    }

    std::string said() const override
    {
        std::string out(kSaid, '\0');
        const ssize_t got = pread(text.native(), out.data(), out.size(), 0);
        out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        out.erase(std::min(out.find('\0'), out.size()));
        return out;
    }

private:
    pid_t first_ = 0;
    bool killed_ = false;
    std::optional<Ending> ended_;
};

/// Limits that hold for each process by itself.
std::vector<ProcessSpec::Bound> process_limits(const Limits& limits, bool memory)
{
    const auto seconds = static_cast<std::uint64_t>((limits.cpu.count() + 999) / 1000);
    const std::uint64_t soft = std::max<std::uint64_t>(seconds, 1);
    std::vector<ProcessSpec::Bound> out{{RLIMIT_CORE, 0, 0}, {RLIMIT_CPU, soft, soft + 5}};  // first SIGXCPU, which names the cause
    rlimit own{};
    if (getrlimit(RLIMIT_NOFILE, &own) == 0)  // a hard limit of ours cannot be raised
        out.push_back({RLIMIT_NOFILE, std::min(kOpenFiles, own.rlim_max), std::min(kMostOpenFiles, own.rlim_max)});
    if (memory) out.push_back({RLIMIT_DATA, limits.memory.bytes, limits.memory.bytes});
    return out;
}

Status check_asked(const SandboxSpec& spec, std::vector<std::string>& notes)
{
    if (geteuid() == 0 && (!spec.uid || !spec.gid || *spec.uid == 0 || *spec.gid == 0))
        return fail(Errc::denied, "sandbox: as root a sandbox needs another user; it never runs as uid 0");
    if (geteuid() != 0 && spec.uid && *spec.uid != geteuid())
        return fail(Errc::denied, fmt::format("sandbox: only root can start one as user {}", *spec.uid));
    const Cgroups& groups = machine_cgroups();
    const bool tree_memory = groups.memory() != "rlimit", tree_processes = groups.processes() != "none";
    if (spec.limits.stated && (!tree_memory || !tree_processes))
        return fail(Errc::denied, fmt::format("sandbox: this machine cannot bound the {} of a whole process tree (no writable cgroup), and the "
                                              "limits are stated", !tree_memory ? "memory" : "processes"));
    if (!tree_memory) notes.emplace_back("memory: rlimit only, per process");
    if (!kernel_allows().fresh_proc) notes.emplace_back("/proc is empty: this machine refuses a fresh one");
    if (!tree_processes) notes.emplace_back("processes: not bounded");
    return {};
}

}  // namespace

Result<std::unique_ptr<Sandbox>> start_sandbox(const SandboxSpec& spec)
{
    if (!exists(kBubblewrap)) return fail(Errc::not_found, "sandbox: /usr/bin/bwrap is missing; install the package bubblewrap");
    auto sandbox = std::make_unique<LinuxSandbox>();
    if (auto ok = check_asked(spec, sandbox->remarks); !ok) return fail(ok.error());
    auto filter = seccomp_filter(spec.commands);
    if (!filter) return fail("sandbox", Error{Errc::denied, filter.error().what});
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail(Errc::unavailable, fmt::format("sandbox: no pipe: {}", os_error(errno)));
    sandbox->info = Handle(ends[0]);
    const Handle info_end(ends[1]);
    sandbox->text = make_bounded_file();

    int next = 10;
    for (const auto& [number, handle] : spec.handles) next = std::max(next, number + 1);
    const int filter_number = next++, info_number = next++;
    auto layout = make_layout(spec, next, filter_number, info_number);
    if (!layout) return fail(layout.error());
    sandbox->granted = std::move(layout->granted);

    ProcessSpec start;
    start.program = kBubblewrap;
    start.end_group = true;   // the inner half, should the outer one be killed before they are bound to each other
    start.arguments = std::move(layout->arguments);
    start.handles = spec.handles;
    start.handles.emplace_back(filter_number, &*filter);
    start.handles.emplace_back(info_number, &info_end);
    for (const auto& [number, file] : layout->files) start.handles.emplace_back(number, &file);
    const bool names_error = std::any_of(spec.handles.begin(), spec.handles.end(), [](const auto& item) { return item.first == 2; });
    int life[2] = {-1, -1};
    if (spec.lifeline && pipe2(life, O_CLOEXEC) != 0) return fail(Errc::unavailable, fmt::format("sandbox: no pipe: {}", os_error(errno)));
    sandbox->life = Handle(life[0]);
    const Handle life_end(life[1]);
    for (const auto& [number, file] : layout->files) next = std::max(next, number + 1);
    if (spec.lifeline) {
        start.arguments.insert(start.arguments.end(), {kLifeOption, std::to_string(next)});
        start.handles.emplace_back(next, &life_end);
    }
    if (!names_error && sandbox->text.valid()) start.handles.emplace_back(2, &sandbox->text);
    if (geteuid() == 0) {
        start.uid = spec.uid;
        start.gid = spec.gid;
    }
    // libjq lets go of a value by recursion: some 50 bytes for a level of nesting, which took 270 of memory to make.
    start.stack = std::max(mebibytes(64), ByteCount{spec.limits.memory.bytes / 4});
    start.rlimits = process_limits(spec.limits, machine_cgroups().memory() == "rlimit");
    auto group = machine_cgroups().make(spec.name.empty() ? fmt::format("run{}", reinterpret_cast<std::uintptr_t>(sandbox.get())) : spec.name, spec.limits);
    if (!group) return fail("sandbox", group.error());
    for (const Handle& procs : (*group)->procs()) start.join.push_back(procs.native());
    sandbox->group = std::move(*group);
    auto process = start_process(start);
    if (!process) return fail("sandbox", process.error());
    sandbox->process = std::move(*process);
    return std::unique_ptr<Sandbox>(std::move(sandbox));
}

Result<Captured> run_sandbox(const SandboxSpec& spec, std::string_view input, std::size_t max_output, std::stop_token stop)
{
    std::unique_ptr<Sandbox> sandbox;
    const auto start = [&](const Streams& streams) -> Result<CapturedChild> {
        SandboxSpec with = spec;
        with.handles.emplace_back(0, &streams.in);
        with.handles.emplace_back(1, &streams.out);
        with.handles.emplace_back(2, &streams.err);
        auto started = start_sandbox(with);
        if (!started) return fail(started.error());
        sandbox = std::move(*started);
        return CapturedChild{&sandbox->end_handle(), {}, [&] { sandbox->kill(); }, [&] { return sandbox->wait(); }};
    };
    return capture(spec.program, start, input, {.output = max_output, .end_when_full = true, .time = spec.limits.time, .grace = {}}, std::move(stop));
}

std::optional<User> sandbox_user()
{
    constexpr User kNobody{65534, 65534};
    if (!is_root()) return std::nullopt;
    const auto user = find_user("millwright-run");
    return user && user->uid != 0 ? *user : kNobody;
}

}  // namespace mill::platform
