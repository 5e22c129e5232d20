#include "platform/orphan.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <sys/syscall.h>
#include <unistd.h>

#include "platform/channel.h"
#include "platform/files.h"

namespace mill::platform {
namespace {

struct OrphanLook {
    std::string name;        ///< of the program
    long parent = 0;
    bool first = false;      ///< of a namespace of processes of its own
};

OrphanLook look_at(const std::string& folder)
{
    OrphanLook out;
    const std::string status = read_file(folder + "/status", 16 * 1024).value_or("");
    const auto line = [&](const std::string& name) {
        const auto at = status.find("\n" + name + ":");
        if (at == std::string::npos) return std::string();
        const auto begin = std::min(status.find_first_not_of(" \t", at + name.size() + 2), status.size());
        return status.substr(begin, status.find('\n', begin) - begin);
    };
    if (status.starts_with("Name:\t")) out.name = status.substr(6, status.find('\n') - 6);
    out.parent = std::strtol(line("PPid").c_str(), nullptr, 10);
    const std::string numbers = line("NSpid");
    const auto tab = numbers.rfind('\t');
    out.first = tab != std::string::npos && numbers.substr(tab + 1) == "1";
    return out;
}

/// Ours: bubblewrap with a program under /millwright/, which was to die with its parent.
bool is_ours(const std::string& folder)
{
    using namespace std::string_view_literals;
    const std::string words = read_file(folder + "/cmdline", 256 * 1024).value_or("");
    return words.find("\0--die-with-parent\0"sv) != std::string::npos && words.find("\0--\0/millwright/"sv) != std::string::npos;
}

}  // namespace

std::size_t end_orphans()
{
    std::size_t ended = 0;
    std::error_code error;
    for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
        const std::string number = entry->path().filename().string();
        if (number.find_first_not_of("0123456789") != std::string::npos) continue;
        const std::string folder = "/proc/" + number;
        const pid_t pid = static_cast<pid_t>(std::strtol(number.c_str(), nullptr, 10));
        const Handle handle(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));   // before it is looked at: the number may change hands
        const OrphanLook seen = look_at(folder);
        if (!handle.valid() || seen.name != "bwrap" || !seen.first || seen.parent == 0 || !is_ours(folder)) continue;
        if (look_at("/proc/" + std::to_string(seen.parent)).name == "bwrap") continue;
        if (syscall(SYS_pidfd_send_signal, handle.native(), SIGKILL, nullptr, 0) == 0) ++ended;
    }
    return ended;
}

}  // namespace mill::platform
