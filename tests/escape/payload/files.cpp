// Reading and writing what lies outside.
#include "tests/escape/payload/payload.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

extern char** environ;

namespace payload {
namespace {

std::vector<std::string> entries(const char* folder)
{
    std::vector<std::string> out;
    DIR* open = opendir(folder);
    if (open == nullptr) return out;
    while (const dirent* entry = readdir(open))
        if (entry->d_name[0] != '.') out.emplace_back(entry->d_name);
    closedir(open);
    std::sort(out.begin(), out.end());
    return out;
}

bool is_number(const std::string& name) { return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos; }

std::string read_path(const Words& words) { return first_bytes(-1, words.text(0)); }

std::string write_path(const Words& words)
{
    const int file = open(words.text(0), O_WRONLY | O_CREAT | O_APPEND, 0644);
    return file < 0 ? refused() : outcome(write(file, "x", 1));
}

std::string read_by_link(const Words& words)
{
    if (symlink(words.text(0), words.text(1)) != 0) return refused();
    const std::string said = first_bytes(-1, words.text(1));
    unlink(words.text(1));
    return said;
}

std::string list(const Words& words)
{
    DIR* folder = opendir(words.text(0));
    if (folder == nullptr) return refused();
    closedir(folder);
    return got(std::to_string(entries(words.text(0)).size()));
}

std::string link_here(const Words& words)
{
    const int failed = link(words.text(0), words.text(1));
    const std::string said = outcome(failed);
    if (failed == 0) unlink(words.text(1));
    return said;
}

std::string rename_path(const Words& words) { return outcome(rename(words.text(0), words.text(1))); }
std::string chmod_path(const Words& words) { return outcome(chmod(words.text(0), 0777)); }

/// The walk upwards through a folder that is open.
std::string read_above(const Words& words)
{
    const int folder = open(words.text(0), O_PATH | O_DIRECTORY);
    if (folder < 0) return refused();
    const std::string up = "/proc/self/fd/" + std::to_string(folder) + "/../../../../../.." + words.text(1);
    return first_bytes(-1, up.c_str());
}

/// Opens anew, for writing, what was handed over for reading.
std::string reopen(const Words& words)
{
    const int file = open((std::string("/proc/self/fd/") + words.text(0)).c_str(), O_WRONLY | O_APPEND);
    return file < 0 ? refused() : outcome(write(file, "x", 1));
}

std::string node(const Words& words)
{
    const int failed = mknod(words.text(0), S_IFBLK | 0600, makedev(static_cast<unsigned>(words.number(1)), 0));
    return outcome(failed);
}

/// A file below the root of any process that is seen.
std::string read_through_others(const Words& words)
{
    errno = ENOENT;
    for (const std::string& name : entries("/proc")) {
        if (!is_number(name)) continue;
        const std::string said = first_bytes(-1, ("/proc/" + name + "/root" + words.text(0)).c_str());
        if (said.rfind("got", 0) == 0) return said;
    }
    errno = ENOENT;
    return refused();
}

std::string processes(const Words&)
{
    const auto all = entries("/proc");
    return got(std::to_string(std::count_if(all.begin(), all.end(), is_number)));
}

/// Above the three standard ones, and without the one that looks.
std::string descriptors(const Words&)
{
    std::string out;
    for (int number = 3; number < 1024; ++number)
        if (fcntl(number, F_GETFD) >= 0) out += (out.empty() ? "" : " ") + std::to_string(number);
    return got(out);
}

std::string environment(const Words&)
{
    std::vector<std::string> names;
    for (char** item = environ; *item != nullptr; ++item) names.emplace_back(*item, strcspn(*item, "="));
    std::sort(names.begin(), names.end());
    std::string out;
    for (const std::string& name : names) out += (out.empty() ? "" : " ") + name;
    return got(out);
}

/// An address in the kernel that is not hidden.
std::string kernel_pointer(const Words&)
{
    FILE* file = fopen("/proc/kallsyms", "re");
    if (file == nullptr) return refused();
    unsigned long address = 0, any = 0;
    for (int line = 0; line < 100 && fscanf(file, "%lx%*[^\n]", &address) == 1; ++line) any |= address;
    fclose(file);
    errno = EACCES;
    return any != 0 ? got() : refused();
}

std::string host_name(const Words&)
{
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? got(name) : refused();
}

}  // namespace

std::vector<Verb> file_verbs()
{
    return {{"read", read_path}, {"write", write_path}, {"read-by-link", read_by_link}, {"list", list}, {"link", link_here}, {"rename", rename_path},
            {"chmod", chmod_path}, {"read-above", read_above}, {"reopen", reopen}, {"node", node}, {"read-through-others", read_through_others},
            {"processes", processes}, {"descriptors", descriptors}, {"environment", environment}, {"kernel-pointer", kernel_pointer},
            {"host-name", host_name}};
}

}  // namespace payload
