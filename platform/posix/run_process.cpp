// Runs a child to its end with its standard streams in our hands.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/posix/capture.h"
#include "platform/posix/wait.h"
#include "platform/process.h"

namespace mill::platform {
namespace {

struct Pipe {
    Handle read, write;
};

/// `ours` ends do not block; the child's do.
Result<Pipe> make_pipe(bool we_read)
{
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return fail(Errc::unavailable, fmt::format("no pipe: {}", os_error(errno)));
    Pipe pipe{Handle(ends[0]), Handle(ends[1])};
    fcntl(we_read ? ends[0] : ends[1], F_SETFL, O_NONBLOCK);
    return pipe;
}

/// A write to a pipe that nobody reads must not end us: SIGPIPE is held in this thread and taken back.
class NoPipeSignal {
public:
    NoPipeSignal()
    {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    NoPipeSignal(const NoPipeSignal&) = delete;
    NoPipeSignal& operator=(const NoPipeSignal&) = delete;
    ~NoPipeSignal()
    {
        if (!sigismember(&before_, SIGPIPE)) {
            const timespec now{};
            while (sigtimedwait(&pipe_, nullptr, &now) == SIGPIPE) {}
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t pipe_{}, before_{};
};

/// Reads what is there. False when the stream has ended.
template <class Take>
bool read_some(const Handle& handle, Take take)
{
    std::array<char, 65536> block;
    while (true) {
        const ssize_t got = read(handle.native(), block.data(), block.size());
        if (got > 0) take(std::string_view(block.data(), static_cast<std::size_t>(got)));
        else if (got < 0 && errno == EINTR) continue;
        else return got < 0 && errno == EAGAIN;
    }
}

constexpr std::chrono::milliseconds kAfterEnd{500};  // for what the child's own children still hold open

}  // namespace

Result<Captured> capture(const std::string& name, const std::function<Result<CapturedChild>(const Streams&)>& start, std::string_view input,
                         const CaptureLimits& limits, std::stop_token stop)
{
    const NoPipeSignal held;
    auto in = make_pipe(false), out = make_pipe(true), err = make_pipe(true);
    for (const auto* pipe : {&in, &out, &err})
        if (!*pipe) return fail(pipe->error());
    auto child = start(Streams{in->read, out->write, err->write});
    if (!child) return fail(child.error());
    in->read = Handle();
    out->write = Handle();
    err->write = Handle();
    Captured captured;
    bool full = false;
    const auto keep = [&](std::string& text) {
        return [&](std::string_view piece) {
            const std::size_t take = std::min(piece.size(), limits.output - std::min(limits.output, text.size()));
            text.append(piece.substr(0, take));
            captured.dropped += piece.size() - take;
            full = full || (&text == &captured.out && take < piece.size());
        };
    };
    auto deadline = deadline_of(limits.time);
    bool ended = false, timed_out = false, cancelled = false, asked = limits.grace.count() == 0, killed = false;
    const auto end_it = [&] {
        stop = {};
        if (!std::exchange(asked, true)) {
            child->ask();
            deadline = deadline_of(limits.grace);
            return;
        }
        child->kill();
        killed = true;
        deadline = deadline_of(kAfterEnd + std::chrono::seconds(5));
    };
    while (!ended || out->read.valid() || err->read.valid()) {
        if (input.empty()) in->write = Handle();
        std::vector<pollfd> set{{in->write.native(), POLLOUT, 0}, {out->read.native(), POLLIN, 0}, {err->read.native(), POLLIN, 0},
                                {ended ? -1 : child->end->native(), POLLIN, 0}};
        const auto ready = wait_ready(set, deadline, stop);
        if (!ready && ready.error().code != Errc::cancelled) return fail(ready.error());
        if (!ready || !*ready) {
            if (ended) break;  // somebody else holds the streams: what came is all there is
            if (killed) return fail(Errc::internal, fmt::format("{} does not end", name));
            if (!timed_out && !cancelled) (ready ? timed_out : cancelled) = true;
            end_it();
            continue;
        }
        if (set[0].revents != 0) {
            const ssize_t done = write(in->write.native(), input.data(), std::min<std::size_t>(input.size(), 65536));
            if (done >= 0) input.remove_prefix(static_cast<std::size_t>(done));
            else if (errno != EAGAIN && errno != EINTR) input = {};  // it does not want the rest
        }
        if (set[1].revents != 0 && !read_some(out->read, keep(captured.out))) out->read = Handle();
        if (set[2].revents != 0 && !read_some(err->read, keep(captured.err))) err->read = Handle();
        if (limits.end_when_full && full && !ended && !killed) end_it();
        if (set[3].revents != 0) {
            auto ending = child->collect();
            if (!ending) return fail(ending.error());
            captured.ending = *ending;
            ended = true;
            input = {};
            deadline = deadline_of(kAfterEnd);
            stop = {};
        }
    }
    captured.ending.timed_out = timed_out;
    captured.ending.cancelled = cancelled;
    return captured;
}

Result<Captured> run_process(const ProcessSpec& asked, std::string_view input, std::size_t max_output,
                             std::optional<std::chrono::milliseconds> limit, std::stop_token stop)
{
    std::unique_ptr<Process> process;
    const auto start = [&](const Streams& streams) -> Result<CapturedChild> {
        ProcessSpec spec = asked;
        spec.handles.emplace_back(0, &streams.in);
        spec.handles.emplace_back(1, &streams.out);
        spec.handles.emplace_back(2, &streams.err);
        spec.new_group = true;
        auto started = start_process(spec);
        if (!started) return fail(started.error());
        process = std::move(*started);
        return CapturedChild{&process->end_handle(), [&] { process->signal(SIGTERM); }, [&] { process->signal(SIGKILL); },
                             [&] {
                                 process->signal(SIGKILL);  // what it left running in its group
                                 return process->wait();
                             }};
    };
    return capture(asked.program, start, input, {.output = max_output, .end_when_full = false, .time = limit, .grace = asked.grace}, std::move(stop));
}

Result<Ending> run_lines(const ProcessSpec& asked, const std::function<void(std::string_view line)>& on_line, std::size_t max_line,
                         std::chrono::milliseconds grace, std::stop_token stop)
{
    auto out = make_pipe(true);
    if (!out) return fail(out.error());
    ProcessSpec spec = asked;
    spec.inherit_output = true;
    spec.handles.emplace_back(1, &out->write);
    auto child = start_process(spec);
    if (!child) return fail(child.error());
    out->write = Handle();
    std::string line;
    const auto take = [&](std::string_view piece) {
        while (!piece.empty()) {
            const auto cut = piece.find('\n');
            const std::string_view part = piece.substr(0, cut);
            line.append(part.substr(0, max_line - std::min(max_line, line.size())));
            if (cut == std::string_view::npos) return;
            on_line(line);
            line.clear();
            piece.remove_prefix(cut + 1);
        }
    };
    std::optional<SteadyPoint> deadline;
    std::optional<Ending> ending;
    bool cancelled = false, killed = false;
    while (!ending || out->read.valid()) {
        std::vector<pollfd> set{{out->read.native(), POLLIN, 0}, {ending ? -1 : (*child)->end_handle().native(), POLLIN, 0}};
        const auto ready = wait_ready(set, deadline, stop);
        if (!ready && ready.error().code != Errc::cancelled) return fail(ready.error());
        if (!ready) {
            cancelled = true;
            stop = {};
            (*child)->signal(SIGTERM);
            deadline = deadline_of(grace);
            continue;
        }
        if (!*ready) {
            if (ending) break;
            if (killed) return fail(Errc::internal, fmt::format("{} does not end", spec.program));
            killed = true;
            (*child)->signal(SIGKILL);
            deadline = deadline_of(std::chrono::seconds(5));
            continue;
        }
        if (set[0].revents != 0 && !read_some(out->read, take)) out->read = Handle();
        if (set[1].revents != 0) {
            auto end = (*child)->wait();
            if (!end) return fail(end.error());
            ending = *end;
            stop = {};
            deadline = deadline_of(kAfterEnd);
        }
    }
    if (!line.empty()) on_line(line);
    ending->cancelled = cancelled;
    return *ending;
}

}  // namespace mill::platform
