// Staying, and ending others. All stop by themselves after some seconds, whatever the sandbox does.
#include "tests/escape/payload/payload.h"

#include <cerrno>
#include <csignal>
#include <string>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace payload {
namespace {

constexpr unsigned kLongest = 20;  // seconds

void say(const char* text)
{
    if (write(STDOUT_FILENO, text, std::char_traits<char>::length(text)) < 0) _exit(1);
}

void heed_nothing()
{
    for (int number = 1; number < 65; ++number)
        if (number != SIGALRM) signal(number, SIG_IGN);
    alarm(kLongest);
}

[[noreturn]] void stay()
{
    for (;;) pause();
}

std::string bystander(const Words& words)
{
    if (words.size() > 0) {  // a file of its own, for others to look for
        const int file = open(words.text(0), O_WRONLY | O_CREAT, 0644);
        if (file < 0 || write(file, "of another job\n", 15) != 15) return refused();
    }
    say("up\n");
    alarm(kLongest);
    stay();
}

std::string deaf(const Words&)
{
    heed_nothing();
    prctl(PR_SET_PDEATHSIG, 0);
    say("up\n");
    stay();
}

/// [SECONDS]: twice away from its parent, in a session of its own; the parent ends at once.
std::string daemonize(const Words& words)
{
    const pid_t pid = fork();
    if (pid < 0) return refused();
    if (pid == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        heed_nothing();
        if (words.size() > 0) alarm(static_cast<unsigned>(words.number(0)));
        say("up\n");
        stay();
    }
    waitpid(pid, nullptr, 0);
    return got();
}

/// Always a few processes, none older than a moment: whoever ends them one by one comes too late.
std::string race(const Words&)
{
    heed_nothing();
    signal(SIGCHLD, SIG_IGN);
    const time_t end = time(nullptr) + kLongest;
    for (int runners = 0; runners < 4; ++runners)
        if (fork() == 0) {
            while (time(nullptr) < end)
                if (fork() > 0) _exit(0);  // the child goes on
            _exit(0);
        }
    say("up\n");
    stay();
}

std::string stop_itself(const Words&)
{
    alarm(kLongest);
    say("up\n");
    raise(SIGSTOP);
    return got();
}

std::string signal_process(const Words& words)
{
    return outcome(kill(static_cast<pid_t>(words.number(0)), static_cast<int>(words.number(1))));
}

/// All that can be reached, with one child of ours to see that it works.
std::string kill_all(const Words&)
{
    const pid_t pid = fork();
    if (pid < 0) return refused();
    if (pid == 0) {
        alarm(kLongest);
        stay();
    }
    if (kill(-1, SIGKILL) != 0) return refused();
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? got("a child") : "refused";
}

/// The group that we are in; we ourselves do not heed it.
std::string kill_group(const Words&)
{
    signal(SIGTERM, SIG_IGN);
    if (kill(0, SIGTERM) != 0) return refused();
    usleep(300'000);
    return got();
}

/// A parent that can be ended is ended: with the first process of a sandbox the sandbox would end, or stop.
std::string signal_parent(const Words& words)
{
    const pid_t parent = getppid();
    const int number = static_cast<int>(words.number(0));
    if (kill(parent, number) != 0) return refused();
    usleep(300'000);
    return got(getppid() == parent ? "nothing" : "another parent");
}

/// The same from a child to its parent of ours: it is ended.
std::string signal_own_parent(const Words& words)
{
    const pid_t middle = fork();
    if (middle < 0) return refused();
    if (middle == 0) {
        if (fork() == 0) {
            signal_parent(words);
            _exit(0);
        }
        alarm(kLongest);
        stay();
    }
    int status = 0;
    waitpid(middle, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == static_cast<int>(words.number(0)) ? got() : "refused";
}

}  // namespace

std::vector<Verb> lifetime_verbs()
{
    return {{"bystander", bystander}, {"deaf", deaf}, {"daemon", daemonize}, {"race", race}, {"stop", stop_itself}, {"signal", signal_process},
            {"kill-all", kill_all}, {"kill-group", kill_group}, {"signal-parent", signal_parent}, {"signal-own-parent", signal_own_parent}};
}

}  // namespace payload
