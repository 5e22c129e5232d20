#include "agent/self/log_copy.h"

#include <algorithm>

#include "agent/self/own_log.h"
#include "platform/base/log_sink.h"

namespace mill::agent {
namespace {

thread_local const std::string* factory_of_thread = nullptr;

}  // namespace

std::optional<protocol::AttemptId> attempt_in_line(std::string_view text)
{
    const std::string_view key = text.substr(0, std::min(text.find(": "), text.size()));
    if (key.size() == text.size()) return std::nullopt;
    auto id = protocol::AttemptId::from_key(key);
    return id ? std::optional(std::move(*id)) : std::nullopt;
}

LogCopy::LogCopy(std::vector<Target> targets) : targets_(std::move(targets))
{
    log::set_sink([this](log::Level level, std::string_view room, std::string_view text) { copy(level, room, text); });
}

LogCopy::~LogCopy() { log::set_sink({}); }

void LogCopy::copy(log::Level level, std::string_view room, std::string_view text) const
{
    const std::string* of = factory_of_thread;
    const auto attempt = of == nullptr && targets_.size() > 1 && room == "job" ? attempt_in_line(text) : std::nullopt;
    for (const Target& target : targets_) {
        if (target.log == nullptr || (of != nullptr && target.factory_id != *of)) continue;
        if (attempt && !target.knows(*attempt)) continue;
        target.log->take(level, room, text);
    }
}

LogCopy::Of::Of(const std::string& factory_id) { factory_of_thread = &factory_id; }
LogCopy::Of::~Of() { factory_of_thread = nullptr; }

}  // namespace mill::agent
