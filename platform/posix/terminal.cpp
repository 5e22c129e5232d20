#include "platform/terminal.h"

#include <cerrno>
#include <cstring>

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "platform/base/os_error.h"

namespace mill::platform {

namespace {

constexpr int kLookForStop = 200;  // ms; a person's pace, only while a prompt is open

/// Puts the terminal back as it was.
class Hidden {
public:
    explicit Hidden(bool hide) : active_(hide && ::isatty(STDIN_FILENO) != 0 && ::tcgetattr(STDIN_FILENO, &before_) == 0)
    {
        if (!active_) return;
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        quiet.c_lflag |= ECHONL;
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    ~Hidden()
    {
        if (active_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }
    Hidden(const Hidden&) = delete;
    Hidden& operator=(const Hidden&) = delete;

private:
    termios before_{};
    bool active_;
};

/// Bytes read, 0 at the end of the input.
Result<std::size_t> read_some(char* to, std::size_t size, const std::stop_token& stop)
{
    for (;;) {
        if (stop.stop_requested()) return fail(Errc::cancelled, "stopped");
        pollfd waiting{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
        const int ready = ::poll(&waiting, 1, stop.stop_possible() ? kLookForStop : -1);
        if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
        const ssize_t got = ::read(STDIN_FILENO, to, size);
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR && errno != EAGAIN) return fail(Errc::unavailable, std::string("standard input: ") + os_error(errno));
    }
}

}  // namespace

bool is_terminal(Stream stream) { return ::isatty(static_cast<int>(stream)) != 0; }

Result<std::string> read_line(bool hidden, std::stop_token stop, const std::function<void()>& prompt)
{
    const Hidden quiet(hidden);
    if (prompt) prompt();
    std::string line;
    for (char byte = 0;;) {  // by single bytes: what follows the line belongs to the next reader
        Result<std::size_t> got = read_some(&byte, 1, stop);
        if (!got) return fail(got.error());
        if (*got == 0 && line.empty()) return fail(Errc::cancelled, "the input has ended");
        if (*got == 0 || byte == '\n') break;
        line += byte;
    }
    if (line.ends_with('\r')) line.pop_back();
    return line;
}

Result<std::string> read_input(std::size_t max_bytes, std::stop_token stop)
{
    std::string out;
    char piece[65536];
    for (;;) {
        Result<std::size_t> got = read_some(piece, sizeof piece, stop);
        if (!got) return fail(got.error());
        if (*got == 0) return out;
        out.append(piece, *got);
        if (out.size() > max_bytes) return fail(Errc::too_large, "standard input is larger than " + std::to_string(max_bytes) + " bytes");
    }
}

}  // namespace mill::platform
