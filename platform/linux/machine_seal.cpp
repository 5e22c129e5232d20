#include "platform/machine_seal.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/files.h"
#include "platform/process.h"

namespace mill::platform {
namespace {

constexpr const char* kProgram = "/usr/bin/systemd-creds";
constexpr std::size_t kMostSecret = 64 * 1024, kMostFile = 256 * 1024, kMostNames = 64;
constexpr std::chrono::seconds kPatience{10};

bool may_be_named(std::string_view name)
{
    return !name.empty() && name.size() <= 100 && name.front() != '.' && name.front() != '-' &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
}

/// Whoever may write there could put another file, or a link, in the place of ours.
Status roots_alone(const std::string& folder)
{
    const std::string above = std::filesystem::path(folder).parent_path().string();
    for (const std::string& path : {above, folder}) {
        struct stat info {};
        if (::lstat(path.c_str(), &info) != 0) return fail(errno == ENOENT ? Errc::not_found : Errc::unavailable, fmt::format("{}: {}", path, os_error(errno)));
        const mode_t closed = path == folder ? 077 : 022;
        if (!S_ISDIR(info.st_mode) || info.st_uid != 0 || (info.st_mode & closed) != 0)
            return fail(Errc::denied, fmt::format("{}: has to be a folder of root's that nobody else may {}", path, path == folder ? "enter" : "write in"));
    }
    return {};
}

/// What is sealed is bound to: a file that is put in another's place is not opened.
std::string name_of(const std::string& folder, const std::string& name)
{
    return fmt::format("millwright-{}-{}", std::filesystem::path(folder).filename().string(), name);
}

Result<std::string> run(std::vector<std::string> arguments, std::string_view input)
{
    ProcessSpec spec;
    spec.program = kProgram;
    spec.arguments = std::move(arguments);
    spec.environment = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}, {"LC_ALL", "C"}};
    auto done = run_process(spec, input, kMostFile, kPatience);
    if (!done) return fail("systemd-creds", std::move(done.error()));
    if (done->ending.timed_out) return fail(Errc::unavailable, "systemd-creds does not answer");
    if (done->ending.exit_code != 0 || done->ending.signal != 0) {
        while (!done->err.empty() && done->err.back() == '\n') done->err.pop_back();
        return fail(Errc::corrupt, fmt::format("systemd-creds: {}", done->err.empty() ? "failed without a word" : done->err.substr(0, 500)));
    }
    return std::move(done->out);
}

}  // namespace

std::string seal_folder_beside(const std::string& folder)
{
    std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    return path.string() + ".sealed";
}

std::string why_no_seal()
{
    if (::geteuid() != 0) return "only root opens what is sealed with this machine's key";
    if (!exists(kProgram)) return fmt::format("there is no {} (systemd 250 or later)", kProgram);
    return {};
}

Status seal_secret(const std::string& folder, const std::string& name, std::string_view secret)
{
    if (!may_be_named(name)) return fail(Errc::invalid, "no name for a sealed file");
    if (secret.size() > kMostSecret) return fail(Errc::too_large, "too much to be sealed");
    if (std::string why = why_no_seal(); !why.empty()) return fail(Errc::denied, std::move(why));
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail(Errc::unavailable, fmt::format("{}: {}", folder, os_error(errno)));
    if (auto ours = roots_alone(folder); !ours) return ours;
    auto sealed = run({"encrypt", "--quiet", "--with-key=host", "--name=" + name_of(folder, name), "-", "-"}, secret);
    if (!sealed) return fail(std::move(sealed.error()));
    auto again = run({"decrypt", "--quiet", "--name=" + name_of(folder, name), "-", "-"}, *sealed);
    if (!again) return fail(std::move(again.error()));
    if (*again != secret) return fail(Errc::internal, "systemd-creds gives something else than it was given");
    return write_file(folder + "/" + name, *sealed, 0600);
}

Result<std::string> open_sealed(const std::string& folder, const std::string& name)
{
    if (!may_be_named(name)) return fail(Errc::invalid, "no name for a sealed file");
    if (auto ours = roots_alone(folder); !ours) return fail(std::move(ours.error()));
    auto sealed = read_file(folder + "/" + name, kMostFile);
    if (!sealed) return fail(folder + "/" + name, std::move(sealed.error()));
    if (std::string why = why_no_seal(); !why.empty()) return fail(Errc::denied, std::move(why));
    auto secret = run({"decrypt", "--quiet", "--name=" + name_of(folder, name), "-", "-"}, *sealed);
    if (!secret) return fail(folder + "/" + name, std::move(secret.error()));
    return secret;
}

std::vector<std::string> sealed_names(const std::string& folder)
{
    std::vector<std::string> out;
    if (!roots_alone(folder)) return out;
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end && out.size() < kMostNames; at.increment(error))
        if (std::string name = at->path().filename().string(); may_be_named(name)) out.push_back(std::move(name));
    std::sort(out.begin(), out.end());
    return out;
}

Status remove_sealed(const std::string& folder, const std::string& name)
{
    if (!may_be_named(name)) return fail(Errc::invalid, "no name for a sealed file");
    auto ours = roots_alone(folder);
    if (!ours) return ours.error().code == Errc::not_found ? Status() : std::move(ours);
    return remove_tree(folder + "/" + name);
}

}  // namespace mill::platform
