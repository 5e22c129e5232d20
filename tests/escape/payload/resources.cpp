// Eating what the machine has. Each verb is given how much at most, and stops there by itself.
#include "tests/escape/payload/payload.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <pthread.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace payload {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

std::string counted(std::uint64_t made, std::uint64_t asked)
{
    return made == asked ? got(std::to_string(made)) : refused() + " after " + std::to_string(made);
}

/// Children that wait; all end with us.
std::string forks(const Words& words)
{
    const std::uint64_t asked = words.number(0);
    std::uint64_t made = 0;
    std::vector<pid_t> children;
    for (; made < asked; ++made) {
        const pid_t pid = fork();
        if (pid == 0) {
            alarm(10);
            pause();
            _exit(0);
        }
        if (pid < 0) break;
        children.push_back(pid);
    }
    const std::string said = counted(made, asked);
    for (const pid_t pid : children) kill(pid, SIGKILL);
    while (wait(nullptr) > 0) {}
    return said;
}

void* wait_there(void*)
{
    pause();
    return nullptr;
}

std::string threads(const Words& words)
{
    const std::uint64_t asked = words.number(0);
    std::uint64_t made = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (pthread_t thread{}; made < asked; ++made)
        if (const int failed = pthread_create(&thread, &small, wait_there, nullptr); failed != 0) {
            errno = failed;
            break;
        }
    return counted(made, asked);
}

std::string touch(void* memory, std::size_t size)
{
    if (memory == MAP_FAILED || memory == nullptr) return refused();
    for (std::size_t at = 0; at < size; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
    return got();
}

std::string heap(const Words& words)
{
    const std::size_t size = words.number(0) * kMiB;
    return touch(std::malloc(size), size);
}

std::string shared_pages(const Words& words)
{
    const std::size_t size = words.number(0) * kMiB;
    return touch(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), size);
}

std::string memory_file(const Words& words)
{
    const std::size_t size = words.number(0) * kMiB;
    const int file = memfd_create("hog", 0);
    if (file < 0 || ftruncate(file, static_cast<off_t>(size)) != 0) return refused();
    return touch(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), size);
}

std::string segment(const Words& words)
{
    const std::size_t size = words.number(0) * kMiB;
    const int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
    if (id < 0) return refused();
    void* at = shmat(id, nullptr, 0);
    shmctl(id, IPC_RMID, nullptr);  // gone with the last who uses it
    return at == reinterpret_cast<void*>(-1) ? refused() : touch(at, size);
}

/// Filled to the brim and never read.
std::string socket_buffers(const Words& words)
{
    static char block[65536];
    const std::uint64_t asked = words.number(0) * kMiB;
    std::uint64_t sent = 0;
    while (sent < asked) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) return refused() + " after " + std::to_string(sent / kMiB);
        for (ssize_t size = 0; (size = write(ends[0], block, sizeof block)) > 0;) sent += static_cast<std::uint64_t>(size);
    }
    return got();
}

std::string pipes(const Words& words)
{
    static char block[65536];
    const std::uint64_t asked = words.number(0) * kMiB;
    std::uint64_t sent = 0;
    while (sent < asked) {
        int ends[2];
        if (pipe2(ends, O_NONBLOCK) != 0) return refused() + " after " + std::to_string(sent / kMiB);
        fcntl(ends[1], F_SETPIPE_SZ, kMiB);
        for (ssize_t size = 0; (size = write(ends[1], block, sizeof block)) > 0;) sent += static_cast<std::uint64_t>(size);
    }
    return got();
}

/// FILE MIB
std::string fill(const Words& words)
{
    static char block[65536];
    const int file = open(words.text(0), O_WRONLY | O_CREAT, 0600);
    if (file < 0) return refused();
    const std::uint64_t asked = words.number(1) * kMiB;
    std::uint64_t written = 0;
    while (written < asked) {
        const ssize_t size = write(file, block, sizeof block);
        if (size <= 0) break;
        written += static_cast<std::uint64_t>(size);
    }
    return counted(written / kMiB, asked / kMiB);
}

/// FOLDER COUNT
std::string empty_files(const Words& words)
{
    const std::uint64_t asked = words.number(1);
    std::uint64_t made = 0;
    for (; made < asked; ++made) {
        const int file = open((std::string(words.text(0)) + "/" + std::to_string(made)).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (file < 0) break;
        close(file);
    }
    return counted(made, asked);
}

std::string open_files(const Words& words)
{
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    std::uint64_t made = 0;
    for (; made < words.number(0); ++made)
        if (dup(1) < 0) break;
    return counted(made, words.number(0));
}

std::string limit_of(const Words& words)
{
    rlimit limit{};
    if (getrlimit(static_cast<__rlimit_resource>(words.number(0)), &limit) != 0) return refused();
    return got(std::to_string(limit.rlim_cur) + " " + std::to_string(limit.rlim_max));
}

/// WHAT SOFT HARD, by the numbers of the kernel.
std::string set_limit(const Words& words)
{
    const rlimit limit{words.number(1), words.number(2)};
    return outcome(setrlimit(static_cast<__rlimit_resource>(words.number(0)), &limit));
}

std::string print(const Words& words)
{
    const std::string block(65536, 'x');
    const int to = static_cast<int>(words.number(1));
    for (std::uint64_t left = words.number(0) * kMiB / block.size(); left > 0; --left)
        if (write(to, block.data(), block.size()) < 0) return refused();
    return got();
}

void burn_here(std::uint64_t ms)
{
    timespec now{};
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while (static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000 < ms);
}

/// MS PROCESSES, one after the other: each by itself stays below a limit for one process.
std::string burn(const Words& words)
{
    for (std::uint64_t left = words.number(1); left > 0; --left) {
        const pid_t pid = fork();
        if (pid == 0) {
            burn_here(words.number(0));
            _exit(0);
        }
        if (pid < 0) return refused();
        waitpid(pid, nullptr, 0);
    }
    return got();
}

}  // namespace

std::vector<Verb> resource_verbs()
{
    return {{"forks", forks}, {"threads", threads}, {"heap", heap}, {"shared-pages", shared_pages}, {"memory-file", memory_file}, {"segment", segment},
            {"socket-buffers", socket_buffers}, {"pipes", pipes}, {"fill", fill}, {"empty-files", empty_files}, {"open-files", open_files},
            {"limit", limit_of}, {"set-limit", set_limit}, {"print", print}, {"burn", burn}};
}

}  // namespace payload
