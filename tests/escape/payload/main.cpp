// escape_payload [--reach SPEC] [--confined|--confined-commands|--confined-bridge|--confined-files|--own-namespaces] VERB [WORD…] [--mounted PLACE=IDENTITY]…: tries one thing and says what it managed.
#include "tests/escape/payload/payload.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "platform/confine.h"
#include "platform/confine_files.h"
#include "platform/mounted.h"
#include "platform/orphan.h"

namespace payload {

std::uint64_t Words::number(std::size_t at) const
{
    const std::string word = text(at);
    if (word == "self") return static_cast<std::uint64_t>(getpid());
    if (word == "parent") return static_cast<std::uint64_t>(getppid());
    return std::strtoull(word.c_str(), nullptr, 0);
}

std::string got(const std::string& detail) { return detail.empty() ? "got" : "got " + detail; }

std::string refused()
{
    const char* name = strerrorname_np(errno);
    return std::string("refused ") + (name != nullptr ? name : std::to_string(errno));
}

std::string outcome(long result) { return result < 0 ? refused() : got(); }

std::string first_bytes(int file, const char* path)
{
    if (path != nullptr) file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return refused();
    char bytes[256];
    const ssize_t size = read(file, bytes, sizeof bytes);
    if (size < 0) return refused();
    std::string text(bytes, static_cast<std::size_t>(size));
    return got(text.substr(0, text.find('\n')));
}

}  // namespace payload

namespace {

std::string run(const std::string& name, const payload::Words& words)
{
    for (const auto& list : {payload::file_verbs(), payload::network_verbs(), payload::kernel_verbs(), payload::resource_verbs(), payload::lifetime_verbs()})
        for (const payload::Verb& verb : list)
            if (name == verb.name) return verb.run(words);
    return "no such verb: " + name;
}

/// "r/PATH,w/PATH,x/PATH,p,pPORT,a": what may be read, written, executed; no TCP but to these ports; apart.
bool confine_reach(const std::string& spec)
{
    mill::platform::FileAccess access;
    for (std::size_t from = 0; from < spec.size();) {
        const std::size_t end = std::min(spec.find(',', from), spec.size());
        const std::string word = spec.substr(from, end - from), rest = word.substr(1);
        if (word[0] == 'r') access.read.push_back(rest);
        else if (word[0] == 'w') access.write.push_back(rest);
        else if (word[0] == 'x') access.start.push_back(rest);
        else if (word[0] == 'a') access.apart = true;
        else if (word[0] == 'p' && !access.ports) access.ports.emplace();
        if (word[0] == 'p' && !rest.empty()) access.ports->push_back(static_cast<std::uint16_t>(std::stoul(rest)));
        from = end + 1;
    }
    return mill::platform::confine_files(access).has_value();
}

}  // namespace

int main(int argc, char** argv)
{
    std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() > 1 && words.front() == "--reach") {
        if (!confine_reach(words[1])) return 2;
        words.erase(words.begin(), words.begin() + 2);
    }
    if (!words.empty() && words.front().rfind("--confined", 0) == 0) {
        const std::string how = words.front().substr(10);
        words.erase(words.begin());
        if (!mill::platform::confine({.commands = how == "-commands" || how == "-bridge", .bridge = how == "-bridge", .open_files = how != "-files"})) return 2;
    }
    if (!words.empty() && words.front() == "--own-namespaces") {  // a control's, in which it may do more than in bubblewrap's
        (void)!unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET);
        words.erase(words.begin());
    }
    for (std::size_t size = words.size(); size >= 2 && words[size - 2] == mill::platform::kMountedOption; size = words.size()) {
        if (!mill::platform::check_mounted(words.back())) return 3;
        words.resize(size - 2);
    }
    for (std::size_t size = words.size(); size >= 2 && words[size - 2] == mill::platform::kLifeOption; size = words.size()) {
        if (!mill::platform::starter_lives(words.back())) return 3;
        words.resize(size - 2);
    }
    if (words.empty()) return 64;
    const std::string name = words.front();
    words.erase(words.begin());
    const std::string line = run(name, payload::Words(std::move(words))) + "\n";
    return write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : 1;
}
