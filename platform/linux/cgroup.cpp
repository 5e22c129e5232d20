#include "platform/linux/cgroup.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/files.h"

namespace mill::platform {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

std::string text_of(const std::string& path)
{
    std::string text = read_file(path, kMaxFile).value_or("");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

bool put(const std::string& path, std::string_view value)
{
    const Handle file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return file.valid() && write(file.native(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

std::uint64_t number_of(const std::string& path)
{
    return std::strtoull(text_of(path).c_str(), nullptr, 10);
}

/// The value of "KEY VALUE" in a flat file.
std::uint64_t keyed(const std::string& path, std::string_view key)
{
    std::istringstream lines(text_of(path));
    std::string word;
    std::uint64_t value = 0;
    while (lines >> word >> value)
        if (word == key) return value;
    return 0;
}

/// The limit may be rounded down to whole pages by the kernel, never up.
bool put_and_read_back(const std::string& path, std::uint64_t value)
{
    if (!put(path, fmt::format("{}", value))) return false;
    const std::uint64_t now = number_of(path);
    return now <= value && now + 65536 > value && text_of(path) != "max";
}

/// Our path in the hierarchy of `controller` ("" for v2), as /proc/self/cgroup has it.
std::optional<std::string> own_path(std::string_view controller)
{
    std::istringstream lines(text_of("/proc/self/cgroup"));
    std::string line;
    while (std::getline(lines, line)) {
        const auto first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string names = fmt::format(",{},", line.substr(first + 1, second - first - 1));
        if (controller.empty() ? names == ",," : names.find(fmt::format(",{},", controller)) != std::string::npos) {
            std::string path = line.substr(second + 1);
            return path == "/" ? std::string() : path;
        }
    }
    return std::nullopt;
}

std::vector<pid_t> members(const std::string& folder)
{
    std::vector<pid_t> out;
    std::istringstream lines(text_of(folder + "/cgroup.procs"));
    pid_t pid = 0;
    while (lines >> pid) out.push_back(pid);
    return out;
}

bool has_word(const std::string& text, std::string_view word)
{
    return (" " + text + " ").find(fmt::format(" {} ", word)) != std::string::npos;
}

/// A folder for our groups below one of `places`, the first in which a limit holds when read back.
std::string find_base(const std::vector<std::string>& places, const char* limit_file)
{
    for (const std::string& place : places) {
        std::string base = place + "/millwright";
        if (mkdir(base.c_str(), 0755) != 0 && errno != EEXIST) continue;
        const std::string probe = fmt::format("{}/probe-{}", base, getpid());
        if (mkdir(probe.c_str(), 0755) != 0 && errno != EEXIST) continue;
        const bool holds = limit_file == nullptr ||
                           put_and_read_back(probe + "/" + limit_file, std::strstr(limit_file, "pids") != nullptr ? 16 : 64 * 1024 * 1024);
        const bool enter = access((probe + "/cgroup.procs").c_str(), W_OK) == 0;
        rmdir(probe.c_str());
        if (holds && enter) return base;
    }
    return {};
}

/// bubblewrap ends a moment before the processes inside it have died, and a group with a dying process cannot be removed yet:
/// it is tried again with each that follows.
bool remove_soon(const std::string& folder)
{
    static std::mutex mutex;
    static std::vector<std::string> waiting;
    const std::scoped_lock lock(mutex);
    if (!folder.empty()) waiting.push_back(folder);
    std::erase_if(waiting, [](const std::string& item) { return rmdir(item.c_str()) == 0 || errno == ENOENT; });
    return !waiting.empty();
}

}  // namespace

Cgroup::~Cgroup()
{
    kill_all();
    procs_.clear();
    for (const std::string& folder : {memory_, processes_, cpu_})
        if (!folder.empty()) remove_soon(folder);
}

void Cgroup::kill_all() const
{
    if (v2_ && put(memory_ + "/cgroup.kill", "1")) return;
    for (const std::string& folder : {processes_, memory_, cpu_}) {
        if (folder.empty()) continue;
        for (int round = 0; round < 4; ++round) {  // one that forks may be faster than one look
            const auto left = members(folder);
            for (const pid_t pid : left)
                if (pid > 0) kill(pid, SIGKILL);
            if (left.empty()) break;
        }
    }
}

bool Cgroup::out_of_memory() const
{
    if (memory_.empty()) return false;
    return keyed(memory_ + (v2_ ? "/memory.events" : "/memory.oom_control"), "oom_kill") > 0;
}

std::uint64_t Cgroup::peak_memory() const
{
    return memory_.empty() ? 0 : number_of(memory_ + (v2_ ? "/memory.peak" : "/memory.max_usage_in_bytes"));
}

std::uint64_t Cgroup::cpu_ms() const
{
    if (cpu_.empty()) return 0;
    return v2_ ? keyed(cpu_ + "/cpu.stat", "usage_usec") / 1000 : number_of(cpu_ + "/cpuacct.usage") / 1'000'000;
}

Cgroups::Cgroups(const std::string& root)
{
    if (!use_v2(root)) use_v1(root);
    remove_left_over();
}

bool Cgroups::use_v2(const std::string& root)
{
    if (!has_word(text_of(root + "/cgroup.controllers"), "memory")) return false;
    const auto own = own_path("");
    if (!own) return false;
    std::vector<std::string> places;
    const std::string mine = root + *own;
    const auto in_it = members(mine);
    if (!own->empty() && in_it.size() == 1 && in_it.front() == getpid()) {
        // A group that is ours alone (a unit with Delegate=yes): groups with limits may not have processes beside them,
        // so we move into one of our own.
        const std::string service = mine + "/service";
        if ((mkdir(service.c_str(), 0755) == 0 || errno == EEXIST) && put(service + "/cgroup.procs", "0")) places.push_back(mine);
    }
    if (geteuid() == 0) places.push_back(root);
    for (const std::string& place : places) {
        if (!put(place + "/cgroup.subtree_control", "+memory +pids")) continue;
        std::string base = place + "/millwright";
        if ((mkdir(base.c_str(), 0755) != 0 && errno != EEXIST) || !put(base + "/cgroup.subtree_control", "+memory +pids")) continue;
        if (find_base({place}, "memory.max").empty()) continue;
        put(place + "/cgroup.subtree_control", "+cpu");  // only for accounting
        v2_ = true;
        memory_base_ = processes_base_ = cpu_base_ = base;
        memory_kind_ = processes_kind_ = "cgroup-v2";
        return true;
    }
    return false;
}

void Cgroups::use_v1(const std::string& root)
{
    const auto places = [&](const char* controller) {
        std::vector<std::string> out;
        const std::string mount = root + "/" + controller;
        if (const auto own = own_path(controller)) out.push_back(mount + *own);
        out.push_back(mount);
        return out;
    };
    memory_base_ = find_base(places("memory"), "memory.limit_in_bytes");
    processes_base_ = find_base(places("pids"), "pids.max");
    cpu_base_ = find_base(places("cpuacct"), nullptr);
    if (!memory_base_.empty()) memory_kind_ = "cgroup-v1";
    if (!processes_base_.empty()) processes_kind_ = "cgroup-v1";
}

/// Groups of processes that are gone (their names begin with the maker's id) and have nobody in them.
void Cgroups::remove_left_over() const
{
    for (const std::string& base : {memory_base_, processes_base_, cpu_base_}) {
        if (base.empty()) continue;
        std::error_code error;
        for (std::filesystem::directory_iterator entry(base, error), end; !error && entry != end; entry.increment(error)) {
            if (!entry->is_directory(error)) continue;
            const pid_t maker = static_cast<pid_t>(std::strtol(entry->path().filename().c_str(), nullptr, 10));
            if (maker > 0 && maker != getpid() && kill(maker, 0) != 0 && errno == ESRCH) {
                for (const pid_t pid : members(entry->path().string())) kill(pid, SIGKILL);
                remove_soon(entry->path().string());
            }
        }
    }
}

bool tidy_sandboxes() { return remove_soon({}); }

Result<std::unique_ptr<Cgroup>> Cgroups::make(const std::string& name, const Limits& limits) const
{
    remove_soon({});
    std::unique_ptr<Cgroup> group(new Cgroup);
    group->v2_ = v2_;
    const std::string leaf = fmt::format("/{}-{}", getpid(), name);
    const auto folder = [&](const std::string& base, std::string& out) -> Status {
        if (base.empty()) return {};
        const std::string path = base + leaf;
        if (path != group->memory_ && path != group->processes_) {
            if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail(Errc::unavailable, fmt::format("{}: {}", path, os_error(errno)));
            Handle procs(open((path + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
            if (!procs.valid()) return fail(Errc::unavailable, fmt::format("{}/cgroup.procs: {}", path, os_error(errno)));
            group->procs_.push_back(std::move(procs));
        }
        out = path;
        return {};
    };
    if (auto ok = folder(memory_base_, group->memory_); !ok) return fail(ok.error());
    if (auto ok = folder(processes_base_, group->processes_); !ok) return fail(ok.error());
    if (auto ok = folder(cpu_base_, group->cpu_); !ok) return fail(ok.error());
    if (!group->memory_.empty()) {
        const std::string& at = group->memory_;
        if (!put_and_read_back(at + (v2_ ? "/memory.max" : "/memory.limit_in_bytes"), limits.memory.bytes))
            return fail(Errc::unavailable, fmt::format("{}: the memory limit does not hold", at));
        if (v2_) {
            put(at + "/memory.oom.group", "1");
            put(at + "/memory.swap.max", "0");
        } else if (access((at + "/memory.memsw.limit_in_bytes").c_str(), W_OK) == 0) {
            put(at + "/memory.memsw.limit_in_bytes", fmt::format("{}", limits.memory.bytes));
        }
    }
    // bubblewrap itself takes two: its outside half and the first process inside.
    if (!group->processes_.empty() && !put_and_read_back(group->processes_ + "/pids.max", limits.processes + 2))
        return fail(Errc::unavailable, fmt::format("{}: the processes limit does not hold", group->processes_));
    return group;
}

}  // namespace mill::platform
