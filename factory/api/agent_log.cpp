#include <limits>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "platform/base/text.h"

namespace mill::factory::handler {
namespace {

constexpr std::int64_t kAhead = 100LL * 366 * 24 * 3600 * 1'000'000;   // of the time in microseconds, where sequences begin: no line blocks those behind it
constexpr std::size_t kMostLines = 1000, kMostText = 4000, kMostRoom = 40;

bool is_level(std::string_view text) { return text == "debug" || text == "info" || text == "warning" || text == "error"; }

Result<AgentLogLine> read_line(const Json& json)
{
    AgentLogLine line;
    const std::int64_t sequence = json["sequence"].as_integer();
    auto time = parse_time(json["time"].as_string());
    if (sequence > system_clock().now().microseconds + kAhead) return fail(Errc::invalid, fmt::format("lines: {} is no sequence", sequence));
    if (sequence <= 0) return fail(Errc::invalid, "lines: a line's sequence is a number above 0");
    if (!time) return fail(Errc::invalid, fmt::format("lines: line {}: time: {}", sequence, time.error().what));
    line.sequence = static_cast<std::uint64_t>(sequence);
    line.time = *time;
    line.level = json["level"].as_string();
    if (!is_level(line.level)) return fail(Errc::invalid, fmt::format("lines: line {}: level must be debug, info, warning or error", sequence));
    line.room = json["room"].as_string().substr(0, kMostRoom);
    line.text = json["text"].as_string().substr(0, kMostText);
    return line;
}

}  // namespace

void agent_log(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    std::vector<AgentLogLine> lines;
    const auto& items = (*json)["lines"].as_array();
    if (items.size() > kMostLines) return reply_problem(*call, 400, fmt::format("lines: {} are more than {} in one call", items.size(), kMostLines));
    for (const Json& item : items) {
        auto line = read_line(item);
        if (!line) return reply_error(*call, line.error());
        if (!lines.empty() && line->sequence <= lines.back().sequence) return reply_problem(*call, 400, "lines: their sequences must rise");
        lines.push_back(std::move(*line));
    }
    service.core.agent_log(call->agent, std::move(lines), [call](const Result<std::uint64_t>& kept) {
        if (passed(*call, kept)) reply(*call, 200, Json::object({{"acknowledged", Json(*kept)}}));
    });
}

void get_agent_log(Service& service, const CallPtr& call)
{
    auto limit = limit_of(*call, 200);
    if (!passed(*call, limit)) return;
    auto after = number_of(*call, "after", 0, std::numeric_limits<std::int64_t>::max(), 0);
    if (!passed(*call, after)) return;
    const std::string& name = (*call)["name"];
    auto lines = service.core.reader()->agent_log(name, static_cast<std::uint64_t>(*after), *limit);
    if (!lines && lines.error().code == Errc::not_found) return reply_problem(*call, 404, fmt::format("agent '{}' is not there; GET /v1/agents lists them", name.substr(0, 80)), "unknown_agent");
    if (!passed(*call, lines)) return;
    Json items = Json::array();
    for (const AgentLogLine& line : *lines)
        items.push(Json::object({{"sequence", Json(line.sequence)}, {"time", format_time(line.time)}, {"level", line.level}, {"room", line.room}, {"text", line.text}}));
    const std::uint64_t next = lines->empty() ? static_cast<std::uint64_t>(*after) : lines->back().sequence;
    reply(*call, 200, Json::object({{"agent", name}, {"items", std::move(items)}, {"next", std::to_string(next)}}));
}

}  // namespace mill::factory::handler
