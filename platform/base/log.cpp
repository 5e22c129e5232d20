#include "platform/base/log.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "platform/base/clock.h"
#include "platform/base/log_sink.h"
#include "platform/base/redact.h"

namespace mill::log {
namespace {

std::atomic<Level> g_least{Level::info};
std::string g_program = "millwright";
bool g_journal = false;
std::mutex g_sink_mutex;
Sink g_sink;

constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
constexpr int kPriorities[] = {7, 6, 4, 3};  // syslog(3), as the journal reads them

}  // namespace

void start(std::string_view program, Level least)
{
    g_program = program;
    g_least = least;
    g_journal = std::getenv("JOURNAL_STREAM") != nullptr;
}

void set_level(Level least)
{
    g_least = least;
}

Result<Level> parse_level(std::string_view text)
{
    for (int i = 0; i < 4; ++i)
        if (kNames[i] == text) return static_cast<Level>(i);
    return fail(Errc::invalid, fmt::format("log level '{}' is none of debug, info, warning, error", text));
}

void write(Level level, std::string_view room, std::string_view text)
{
    if (level < g_least.load(std::memory_order_relaxed)) return;
    std::string clean = redacted(text);
    for (char& c : clean)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = c == '\n' ? ' ' : '?';
    const int index = static_cast<int>(level);
    const std::string line =
        g_journal ? fmt::format("<{}>{}: {}\n", kPriorities[index], room, clean)
                  : fmt::format("{} {} {} {}: {}\n", format_time(system_clock().now()), g_program, kNames[index], room, clean);
    {
        static std::mutex mutex;
        const std::scoped_lock lock(mutex);
        std::fwrite(line.data(), 1, line.size(), stderr);
        std::fflush(stderr);
    }
    const std::scoped_lock lock(g_sink_mutex);
    if (g_sink) g_sink(level, room, clean);
}

void set_sink(Sink sink)
{
    const std::scoped_lock lock(g_sink_mutex);
    g_sink = std::move(sink);
}

std::string_view name(Level level) { return kNames[static_cast<int>(level)]; }

}  // namespace mill::log
