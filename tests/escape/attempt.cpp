#include "tests/escape/attempt.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/files.h"
#include "platform/linux/isolation.h"
#include "platform/linux/sandbox_layout.h"
#include "platform/linux/seccomp_filter.h"

namespace mill::escape {

using namespace platform;
using namespace std::chrono_literals;

namespace {

constexpr auto kLongest = 20s;

/// Where everybody can start it; the build folder may be closed.
const std::string& reachable_payload()
{
    static const Folder folder;
    static const std::string path = folder.put("escape_payload", *read_file(MILL_ESCAPE_PAYLOAD, 512UL * 1024 * 1024), 0755);
    return path;
}

Captured trimmed(Captured seen)
{
    while (!seen.out.empty() && seen.out.back() == '\n') seen.out.pop_back();
    return seen;
}

/// The words of bubblewrap for this sandbox, but for the parts.
Words words_without(const std::set<Part>& parts, const Words& all)
{
    Words out;
    const auto off = [&](Part part) { return parts.count(part) != 0; };
    for (std::size_t at = 0; at < all.size(); ++at) {
        const std::string& word = all[at];
        if (word == "--info-fd" || (word == "--seccomp" && off(Part::filter)) || (word == "--hostname" && off(Part::host_name))) ++at;
        else if (word == "--cap-drop" && off(Part::capabilities)) out.insert(out.end(), {"--cap-add", all[++at]});
        else if (word == "--unshare-all")
            for (const auto& [name, part] : std::vector<std::pair<const char*, std::optional<Part>>>{
                     {"--unshare-net", Part::network}, {"--unshare-ipc", Part::ipc}, {"--unshare-uts", Part::host_name}, {"--unshare-pid", {}},
                     {"--unshare-cgroup-try", {}}}) {
                if (!part || !off(*part)) out.emplace_back(name);
            }
        else if ((word == "--disable-userns" && off(Part::user_namespaces)) || (word == "--new-session" && off(Part::session))) continue;
        else if (word == "--") {
            out.insert(out.end(), all.begin() + static_cast<std::ptrdiff_t>(at), all.end());
            break;
        } else out.push_back(word);
    }
    return out;
}

[[noreturn]] void become_payload(const Words& words, int out)
{
    const User user = runs_as();
    if (geteuid() == 0 && (setgroups(0, nullptr) != 0 || setgid(user.gid) != 0 || setuid(user.uid) != 0)) _exit(126);
    dup2(out, STDOUT_FILENO);
    close(out);
    alarm(std::chrono::seconds(kLongest).count());
    std::vector<char*> arguments{const_cast<char*>(reachable_payload().c_str())};
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execv(arguments[0], arguments.data());
    _exit(127);
}

}  // namespace

User runs_as()
{
    return sandbox_user().value_or(User{geteuid(), getegid()});
}

SandboxSpec payload(Words words)
{
    static int number = 0;
    SandboxSpec spec;
    spec.program = reachable_payload();
    spec.arguments = std::move(words);
    spec.commands = true;
    spec.limits.processes = 16;
    spec.limits.memory = mebibytes(64);
    spec.limits.output = mebibytes(8);
    spec.limits.time = kLongest;
    spec.limits.cpu = 10s;
    spec.name = "escape-" + std::to_string(++number);
    if (const auto user = sandbox_user()) {
        spec.uid = user->uid;
        spec.gid = user->gid;
    }
    return spec;
}

SandboxSpec shell(const std::string& script, bool commands)
{
    SandboxSpec spec = payload({"-c", script});
    spec.program = "/bin/sh";
    spec.commands = commands;
    return spec;
}

Captured run_inside(const SandboxSpec& spec, std::size_t max_output)
{
    auto seen = run_sandbox(spec, {}, max_output);
    INFO((seen ? std::string() : seen.error().what));
    REQUIRE(seen);
    return trimmed(std::move(*seen));
}

Captured inside(Words words) { return run_inside(payload(std::move(words))); }

Captured without(const std::set<Part>& parts, const SandboxSpec& spec)
{
    constexpr int kFilter = 20, kInfo = 21, kFirst = 22;
    auto layout = make_layout(spec, kFirst, kFilter, kInfo);
    REQUIRE(layout);
    const auto filter = seccomp_filter(spec.commands);
    REQUIRE(filter);
    ProcessSpec start;
    start.program = "/usr/bin/bwrap";
    start.arguments = words_without(parts, layout->arguments);
    start.handles = spec.handles;
    start.handles.emplace_back(kFilter, &*filter);
    for (const auto& [number, file] : layout->files) start.handles.emplace_back(number, &file);
    if (geteuid() == 0) {
        start.uid = spec.uid;
        start.gid = spec.gid;
    }
    auto seen = run_process(start, {}, 1024 * 1024, kLongest);
    REQUIRE(seen);
    if (seen->ending.exit_code > 128) seen->ending.signal = seen->ending.exit_code - 128;  // bubblewrap's way to say so
    return trimmed(std::move(*seen));
}

Captured outside(const Words& words)
{
    (void)reachable_payload();
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const Handle out(ends[0]);
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) become_payload(words, ends[1]);
    close(ends[1]);
    Captured seen;
    char block[4096];
    for (ssize_t size = 0; (size = read(out.native(), block, sizeof block)) > 0;) seen.out.append(block, static_cast<std::size_t>(size));
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) seen.ending.signal = WTERMSIG(status);
    else seen.ending.exit_code = WEXITSTATUS(status);
    return trimmed(std::move(seen));
}

bool matches(const std::string& seen, const std::string& expected)
{
    std::size_t from = 0;
    while (from <= expected.size()) {
        const std::size_t to = std::min(expected.find('|', from), expected.size());
        std::string one = expected.substr(from, to - from);
        if (!one.empty() && one.back() == '*' ? seen.starts_with(one.substr(0, one.size() - 1)) : seen == one) return true;
        from = to + 1;
    }
    return false;
}

void skip(const std::string& why) { WARN("SKIP: " << why); }

void check(const std::vector<Attempt>& attempts)
{
    for (const Attempt& attempt : attempts) {
        INFO(attempt.name);
        const SandboxSpec spec = payload(attempt.words);
        const Captured control = attempt.off.empty() ? outside(attempt.words) : without(attempt.off, spec);
        if (!attempt.absent.empty() && matches(control.out, attempt.absent)) {
            skip(attempt.name + ": there is no such thing on this machine: " + control.out);
            continue;
        }
        INFO("control: " << control.out << control.err << " (signal " << control.ending.signal << "); expected: " << attempt.seen_in_control);
        CHECK(matches(control.out, attempt.seen_in_control));
        const Captured seen = run_inside(spec);
        INFO("inside: " << seen.out << seen.err << " (signal " << seen.ending.signal << "); expected: " << attempt.seen_inside);
        CHECK(matches(seen.out, attempt.seen_inside));
    }
}

bool no_sandbox_here()
{
    const std::string problem = find_isolation().problem;
    if (!problem.empty()) skip("no sandbox on this machine: " + problem);
    return !problem.empty();
}

bool no_group_here()
{
    const Isolation found = find_isolation();
    const bool none = found.memory == "rlimit" || found.processes == "none";
    if (none) skip("this machine lets us bound no process tree (memory: " + found.memory + ", processes: " + found.processes + ")");
    return none;
}

Folder::Folder()
{
    char name[] = "/tmp/mill-escape-XXXXXX";
    path_ = mkdtemp(name);
    chmod(name, 0777);
}

Folder::~Folder() { (void)remove_tree(path_); }

std::string Folder::put(const std::string& name, const std::string& text, unsigned mode) const
{
    const std::string at = path_ + "/" + name;
    const mode_t before = umask(0);
    (void)make_folder(at.substr(0, at.rfind('/')), 0755);
    REQUIRE(write_file(at, text, mode));
    umask(before);
    return at;
}

Running::Running(SandboxSpec spec)
{
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    out_ = Handle(ends[0]);
    const Handle in(ends[1]);
    spec.handles.emplace_back(1, &in);
    auto started = start_sandbox(spec);
    INFO((started ? std::string() : started.error().what));
    REQUIRE(started);
    sandbox = std::move(*started);
}

std::string Running::line(std::size_t size)
{
    std::string text(size, '\0');
    pollfd wait{out_.native(), POLLIN, 0};
    if (poll(&wait, 1, 10'000) != 1) return "nothing in 10 s";
    const ssize_t got = read(out_.native(), text.data(), text.size());
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

bool Running::all_gone(std::chrono::milliseconds limit)
{
    pollfd wait{out_.native(), POLLIN, 0};
    char block[4096];
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
        if (poll(&wait, 1, 50) != 1) continue;
        if (read(out_.native(), block, sizeof block) <= 0) return true;
    }
    return false;
}

}  // namespace mill::escape
