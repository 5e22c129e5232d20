// Children by Boost.Process with vfork: a fork of a large process takes tens of milliseconds, this does not.
#define BOOST_POSIX_HAS_VFORK 1
#include "platform/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <boost/process/child.hpp>
#include <boost/process/error.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/posix.hpp>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/linux/apart.h"
#include "platform/posix/wait.h"

namespace mill::platform {
namespace {

/// Prepares the child between vfork and exec. The child borrows our memory until then: it only makes system calls.
class Setup : public boost::process::extend::handler {
public:
    Setup(const ProcessSpec& spec, const Handle& null) : spec_(spec), null_(null.native())
    {
        for (const auto& [name, value] : spec.environment) texts_.push_back(name + "=" + value);
        for (std::string& text : texts_) environment_.push_back(text.data());
        environment_.push_back(nullptr);
        arguments_.push_back(const_cast<char*>(spec.program.c_str()));
        for (const std::string& text : spec.arguments) arguments_.push_back(const_cast<char*>(text.c_str()));
        arguments_.push_back(nullptr);
        for (int standard = 0; standard < 3; ++standard) {
            const bool named = std::any_of(spec.handles.begin(), spec.handles.end(), [&](const auto& item) { return item.first == standard; });
            if (!named) map_.push_back({standard, spec.inherit_output && standard > 0 ? standard : null_, -1});
        }
        for (const auto& [number, handle] : spec.handles) map_.push_back({number, handle->native(), -1});
        std::sort(map_.begin(), map_.end(), [](const Slot& a, const Slot& b) { return a.number < b.number; });
        folder_ = spec.folder.empty() ? "/" : spec.folder.c_str();
        if (spec.apart) apart_ = apart_rules();
    }

    template <class Executor> void on_exec_setup(Executor& executor) const
    {
        executor.env = const_cast<char**>(environment_.data());
        executor.cmd_line = arguments_.data();  // ours: the library's reading of arguments stumbles over an empty one
        prepare();
    }
    template <class Executor> void on_error(Executor& executor, const std::error_code&) const { failed_ = executor.pid; }

    pid_t failed() const { return failed_; }  ///< a child that could not become the program; -1 for none

    int error() const { return error_; }
    const char* step() const { return step_; }

private:
    struct Slot {
        int number, source, high;
    };

    [[noreturn]] void give_up(const char* step) const
    {
        error_ = errno;
        step_ = step;
        _exit(127);
    }

    void prepare() const
    {
        if (apart_ >= 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, apart_, 0) != 0)) give_up("landlock");
        if (spec_.new_group && setpgid(0, 0) != 0) give_up("setpgid");
        for (const int file : spec_.join)
            if (write(file, "0\n", 2) != 2) give_up("cgroup.procs");
        for (const auto& [what, soft, hard] : spec_.rlimits) {
            const rlimit limit{soft, hard};
            if (syscall(SYS_prlimit64, 0, what, &limit, nullptr) != 0) give_up("prlimit");
        }
        rlimit stack{};
        if (syscall(SYS_prlimit64, 0, RLIMIT_STACK, nullptr, &stack) != 0) give_up("prlimit");
        stack.rlim_cur = std::min<rlim_t>(spec_.stack.bytes, stack.rlim_max);
        if (syscall(SYS_prlimit64, 0, RLIMIT_STACK, &stack, nullptr) != 0) give_up("prlimit");
        const int above = map_.back().number + 1;
        for (const Slot& slot : map_) {  // first out of the way, then to their places
            slot_high(slot) = fcntl(slot.source, F_DUPFD_CLOEXEC, above);
            if (slot.high < 0) give_up("dup");
        }
        int next = 0;
        for (const Slot& slot : map_) {
            if (slot.number > next) syscall(SYS_close_range, next, slot.number - 1, 0U);
            if (dup2(slot.high, slot.number) < 0) give_up("dup2");
            next = slot.number + 1;
        }
        // What is above closes at exec: until then the copies are needed, and an error can still be told.
        constexpr unsigned kCloseOnExec = 1U << 2U;
        syscall(SYS_close_range, static_cast<unsigned>(next), ~0U, kCloseOnExec);
        if (spec_.gid) {  // the raw calls: the library's would change all threads of the parent, whose memory this is
            const gid_t gid = *spec_.gid;
            if (syscall(SYS_setgroups, 0, nullptr) != 0 || syscall(SYS_setresgid, gid, gid, gid) != 0) give_up("setgid");
        }
        if (spec_.uid && syscall(SYS_setresuid, *spec_.uid, *spec_.uid, *spec_.uid) != 0) give_up("setuid");
        if (chdir(folder_) != 0) give_up("chdir");
        for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD}) signal(number, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        pthread_sigmask(SIG_SETMASK, &none, nullptr);
    }

    static int& slot_high(const Slot& slot) { return const_cast<Slot&>(slot).high; }

    const ProcessSpec& spec_;
    int null_;
    const char* folder_ = "/";
    int apart_ = -1;
    std::vector<std::string> texts_;
    std::vector<char*> environment_, arguments_;
    std::vector<Slot> map_;
    mutable pid_t failed_ = -1;
    mutable volatile int error_ = 0;
    mutable const char* volatile step_ = "";
};

class PosixProcess : public Process {
public:
    PosixProcess(pid_t pid, Handle end, bool group, bool end_group) : pid_(pid), end_(std::move(end)), group_(group), end_group_(end_group) {}

    ~PosixProcess() override
    {
        if (released_ || ended_) return;
        PosixProcess::signal(SIGKILL);
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
    }

    std::int64_t id() const override { return pid_; }
    void signal(int number) override
    {
        if (!ended_) kill(group_ ? -pid_ : pid_, number);
    }
    const Handle& end_handle() const override { return end_; }
    void release() override { released_ = true; }

    Result<Ending> wait(std::optional<std::chrono::milliseconds> limit, std::stop_token stop) override
    {
        if (ended_) return *ended_;
        const auto ready = wait_ready(end_.native(), POLLIN, deadline_of(limit), stop);
        if (!ready) return fail(ready.error());
        if (!*ready) return fail(Errc::timeout, fmt::format("process {} still runs", pid_));
        if (group_ && end_group_) kill(-pid_, SIGKILL);   // before it is waited for: until then the number is its group's and nobody else's
        int status = 0;
        rusage usage{};
        pid_t got = 0;
        while ((got = wait4(pid_, &status, 0, &usage)) < 0 && errno == EINTR) {}
        if (got != pid_) return fail(Errc::internal, fmt::format("process {}: {}", pid_, os_error(errno)));
        Ending ending;
        if (WIFSIGNALED(status)) ending.signal = WTERMSIG(status);
        else ending.exit_code = WEXITSTATUS(status);
        const auto ms = [](const timeval& time) { return static_cast<std::uint64_t>(time.tv_sec) * 1000 + static_cast<std::uint64_t>(time.tv_usec) / 1000; };
        ending.cpu_ms = ms(usage.ru_utime) + ms(usage.ru_stime);
        ending.peak_memory = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
        ended_ = ending;
        return ending;
    }

private:
    pid_t pid_;
    Handle end_;
    bool group_, end_group_;
    bool released_ = false;
    std::optional<Ending> ended_;
};

Error start_error(const std::string& program, const char* step, int error)
{
    const bool exec = *step == '\0';
    const Errc code = exec && (error == ENOENT || error == ENOTDIR) ? Errc::not_found
                      : error == EACCES || error == EPERM || error == ENOEXEC ? Errc::denied
                                                                               : Errc::unavailable;
    return {code, fmt::format("cannot start {}: {}{}{}", program, step, exec ? "" : ": ", os_error(error))};
}

/// All signals wait while a child borrows our memory.
class SignalsHeld {
public:
    SignalsHeld()
    {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsHeld(const SignalsHeld&) = delete;
    SignalsHeld& operator=(const SignalsHeld&) = delete;
    ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

}  // namespace

Result<std::unique_ptr<Process>> start_process(const ProcessSpec& spec)
{
    if (!spec.program.starts_with('/')) return fail(Errc::not_found, fmt::format("cannot start {}: not an absolute path", spec.program));
    struct stat info {};
    if (stat(spec.program.c_str(), &info) != 0) return fail(start_error(spec.program, "", errno));
    if (!S_ISREG(info.st_mode)) return fail(Errc::denied, fmt::format("cannot start {}: not a program", spec.program));
    for (const auto& [number, handle] : spec.handles)
        if (number < 0 || handle == nullptr || !handle->valid())
            return fail(Errc::internal, fmt::format("cannot start {}: descriptor {} is not open", spec.program, number));
    const Handle null(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null.valid()) return fail(start_error(spec.program, "/dev/null", errno));
    try {
        const Setup setup(spec, null);
        std::error_code error;
        pid_t pid = -1;
        {
            const SignalsHeld held;
            boost::process::child child(boost::process::exe = spec.program, setup, boost::process::posix::use_vfork, error);
            if (child.valid()) {
                pid = child.id();
                child.detach();  // we wait for it ourselves
                if (spec.new_group) setpgid(pid, pid);  // the child says so too; a sanitizer turns vfork into fork, and then it is a race
            }
        }
        if (setup.error() != 0 || error) {
            const Error failed = setup.error() != 0 ? start_error(spec.program, setup.step(), setup.error()) : start_error(spec.program, "", error.value());
            int status = 0;
            if (pid <= 0) pid = setup.failed();
            if (pid > 0) waitpid(pid, &status, 0);
            return fail(failed);
        }
        Handle end(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
        if (!end.valid()) {
            const int why = errno;
            kill(pid, SIGKILL);
            waitpid(pid, nullptr, 0);
            return fail(start_error(spec.program, "pidfd_open", why));
        }
        return std::make_unique<PosixProcess>(pid, std::move(end), spec.new_group, spec.end_group);
    } catch (const std::exception& error) {
        return fail(Errc::unavailable, fmt::format("cannot start {}: {}", spec.program, error.what()));
    }
}

}  // namespace mill::platform
