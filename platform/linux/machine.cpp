#include "platform/machine.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>

#include <csignal>

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/files.h"
#include "platform/process.h"
#include "platform/sandbox.h"

namespace mill::platform {
namespace {

constexpr std::size_t kMaxProcFile = 1024 * 1024;

/// "NAME: value" or NAME=value lines.
std::map<std::string, std::string, std::less<>> read_lines(const std::string& path, char separator)
{
    std::map<std::string, std::string, std::less<>> out;
    std::istringstream lines(read_file(path, kMaxProcFile).value_or(""));
    std::string line;
    while (std::getline(lines, line)) {
        const auto cut = line.find(separator);
        if (cut == std::string::npos) continue;
        std::string value = line.substr(cut + 1);
        while (!value.empty() && (value.front() == ' ' || value.front() == '"')) value.erase(0, 1);
        while (!value.empty() && (value.back() == ' ' || value.back() == '"')) value.pop_back();
        out[line.substr(0, cut)] = value;
    }
    return out;
}

std::int64_t kibibytes_of(const std::map<std::string, std::string, std::less<>>& memory, std::string_view key)
{
    const auto found = memory.find(key);
    return found == memory.end() ? 0 : std::strtoll(found->second.c_str(), nullptr, 10) * 1024;
}

double percent(double part, double whole)
{
    return whole <= 0 ? 0.0 : std::round(part / whole * 1000) / 10;
}

/// The first thing in `text` that looks like a version: digits with a dot.
std::string version_in(std::string_view text)
{
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] < '0' || text[i] > '9' || (i > 0 && ((text[i - 1] >= '0' && text[i - 1] <= '9') || text[i - 1] == '.'))) continue;
        std::size_t end = i;
        while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) ++end;
        while (end > i && text[end - 1] == '.') --end;
        const std::string_view found = text.substr(i, end - i);
        if (found.find('.') != std::string_view::npos) return std::string(found);
        i = end;
    }
    return {};
}

Json find_programs()
{
    Json out = Json::object();
    for (const char* name : {"python3", "node", "bash", "perl", "git", "curl", "java", "docker"})
        for (const char* folder : {"/usr/local/bin/", "/usr/bin/", "/bin/"}) {
            ProcessSpec spec;
            spec.program = std::string(folder) + name;
            if (access(spec.program.c_str(), X_OK) != 0) continue;
            spec.arguments = {"--version"};
            spec.environment = {{"PATH", "/usr/bin:/bin"}, {"LANG", "C"}};
            const auto done = run_process(spec, "", 1024, std::chrono::milliseconds(300));
            out.set(name, done ? version_in(done->out.empty() ? done->err : done->out) : "");
            break;
        }
    return out;
}

Json find_os()
{
    utsname name{};
    uname(&name);
    const auto release = read_lines("/etc/os-release", '=');
    const auto text = [&](const char* key) { return release.contains(key) ? release.find(key)->second : std::string(); };
    return Json::object({{"name", text("ID").empty() ? "linux" : text("ID")}, {"version", text("VERSION_ID")},
                         {"kernel", name.release}, {"arch", name.machine}});
}

Result<Json> disk_usage(const std::string& path)
{
    struct statvfs info {};
    if (statvfs(path.c_str(), &info) != 0)
        return fail(Errc::invalid, fmt::format("disk '{}': {}", path, os_error(errno)));
    const auto unit = static_cast<std::int64_t>(info.f_frsize);
    const std::int64_t total = static_cast<std::int64_t>(info.f_blocks) * unit;
    const std::int64_t free = static_cast<std::int64_t>(info.f_bavail) * unit;       // for ordinary users, as df shows it
    const std::int64_t used = total - static_cast<std::int64_t>(info.f_bfree) * unit;
    return Json::object({{"path", path}, {"total", total}, {"free", free}, {"used", used},
                         {"usedPercent", percent(static_cast<double>(used), static_cast<double>(used + free))}});
}

std::int64_t count_processes()
{
    std::int64_t count = 0;
    std::error_code error;
    for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name.find_first_not_of("0123456789") == std::string::npos) ++count;
    }
    return count;
}

}  // namespace

std::int64_t process_number() { return ::getpid(); }
std::int64_t parent_process_number() { return ::getppid(); }
bool is_this_user_or_root(std::uint32_t uid) { return uid == 0 || uid == ::geteuid(); }
bool process_is_there(std::int64_t number)
{
    // "NUMBER (NAME) STATE …": one that has ended and was not waited for by its parent is Z.
    const auto text = read_file(fmt::format("/proc/{}/stat", number), 4096);
    const std::size_t end = text ? text->rfind(") ") : std::string::npos;
    return end != std::string::npos && end + 2 < text->size() && (*text)[end + 2] != 'Z' && (*text)[end + 2] != 'X';
}

std::string host_name()
{
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? std::string(name) : std::string("localhost");
}

Json find_facts()
{
    const auto memory = read_lines("/proc/meminfo", ':');
    const Isolation isolation = find_isolation();
    const bool screen = std::getenv("DISPLAY") != nullptr || std::getenv("WAYLAND_DISPLAY") != nullptr;
    return Json::object({{"os", find_os()},
                         {"host", host_name()},
                         {"cpus", static_cast<long long>(sysconf(_SC_NPROCESSORS_ONLN))},
                         {"memory", kibibytes_of(memory, "MemTotal")},
                         {"programs", find_programs()},
                         {"isolation", to_json(isolation)},
                         {"screen", screen}});
}

Result<Json> system_usage(const std::vector<std::string>& disks)
{
    std::istringstream load(read_file("/proc/loadavg", 4096).value_or("0 0 0"));
    double one = 0, five = 0, fifteen = 0;
    load >> one >> five >> fifteen;
    const auto memory = read_lines("/proc/meminfo", ':');
    const std::int64_t total = kibibytes_of(memory, "MemTotal"), available = kibibytes_of(memory, "MemAvailable");
    Json list = Json::array();
    for (const std::string& path : disks.empty() ? std::vector<std::string>{"/"} : disks) {
        auto disk = disk_usage(path);
        if (!disk) return fail(disk.error());
        list.push(std::move(*disk));
    }
    const double uptime = std::strtod(read_file("/proc/uptime", 4096).value_or("0").c_str(), nullptr);
    return Json::object(
        {{"load", Json::object({{"one", one}, {"five", five}, {"fifteen", fifteen}, {"cpus", static_cast<long long>(sysconf(_SC_NPROCESSORS_ONLN))}})},
         {"memory", Json::object({{"total", total}, {"available", available}, {"used", total - available},
                                  {"usedPercent", percent(static_cast<double>(total - available), static_cast<double>(total))},
                                  {"swapTotal", kibibytes_of(memory, "SwapTotal")}, {"swapFree", kibibytes_of(memory, "SwapFree")}})},
         {"disks", list},
         {"processes", count_processes()},
         {"uptimeSeconds", static_cast<std::int64_t>(uptime)},
         {"host", host_name()}});
}

Result<DiskSpace> disk_space(const std::string& path)
{
    struct statvfs info {};
    if (statvfs(path.c_str(), &info) != 0) return fail(Errc::unavailable, fmt::format("disk '{}': {}", path, os_error(errno)));
    return DiskSpace{info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize};
}

}  // namespace mill::platform
