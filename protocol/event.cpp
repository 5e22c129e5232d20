#include "protocol/event.h"

#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "platform/base/fields.h"

namespace mill::protocol {
namespace {

constexpr std::pair<EventKind, std::string_view> kKinds[] = {
    {EventKind::state, "state"}, {EventKind::step, "step"}, {EventKind::log, "log"}, {EventKind::gap, "gap"}, {EventKind::metric, "metric"}};

/// A job's uid names files and pipes, so it is held to what is harmless there.
bool is_uid(std::string_view text)
{
    if (text.empty() || text.size() > 64 || text.front() == '-') return false;
    for (const char c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_')) return false;
    return true;
}

template <class Number>
bool read_number(std::string_view text, Number& out)
{
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && out > 0 && text.front() != '0';
}

/// About what the value takes as JSON text; stops counting above `limit`.
std::size_t weight(const Json& value, std::size_t limit)
{
    std::size_t sum = value.is_string() ? value.as_string().size() + 2 : 5;
    for (const Json& item : value.as_array()) {
        if (sum > limit) break;
        sum += 1 + weight(item, limit - sum);
    }
    for (const auto& [key, item] : value.as_object()) {
        if (sum > limit) break;
        sum += key.size() + 4 + weight(item, limit - sum);
    }
    return sum;
}

}  // namespace

std::string AttemptId::key() const { return fmt::format("{}.{}.{}", job, epoch, attempt); }

Result<AttemptId> AttemptId::from_key(std::string_view key)
{
    AttemptId id;
    const std::size_t last = key.rfind('.');
    const std::size_t middle = last == std::string_view::npos || last == 0 ? std::string_view::npos : key.rfind('.', last - 1);
    if (middle == std::string_view::npos || !is_uid(key.substr(0, middle)) ||
        !read_number(key.substr(middle + 1, last - middle - 1), id.epoch) || !read_number(key.substr(last + 1), id.attempt))
        return fail(Errc::invalid, fmt::format("'{}' names no attempt; expected JOB.EPOCH.ATTEMPT", key.substr(0, 100)));
    id.job = key.substr(0, middle);
    return id;
}

std::string_view name(EventKind kind)
{
    for (const auto& [item, text] : kKinds)
        if (item == kind) return text;
    return "unknown";
}

Json to_json(const Event& event)
{
    return Json::object({{"sequence", event.sequence},
                         {"time", format_time(event.time)},
                         {"kind", name(event.kind)},
                         {"body", event.body.is_null() ? Json::object() : event.body}});
}

Json to_json(const AttemptId& id)
{
    return Json::object({{"job", id.job}, {"epoch", id.epoch}, {"attempt", id.attempt}});
}

Result<Event> parse_event(const Json& json)
{
    Fields fields(json, "event");
    fields.ignore_unknown();
    Event event;
    event.sequence = static_cast<std::uint64_t>(fields.integer("sequence", 1, std::numeric_limits<std::int64_t>::max()));
    const std::string time = fields.text("time");
    const std::string kind = fields.one_of("kind", {"state", "step", "log", "gap", "metric"});
    event.body = fields.object("body");
    for (const auto& [item, text] : kKinds)
        if (text == kind) event.kind = item;
    if (const auto parsed = parse_time(time); parsed) event.time = *parsed;
    else if (!time.empty()) fields.mistake("time", "is no time of RFC 3339");
    if (kind == "state") {
        if (!parse_state(event.body["state"].as_string())) fields.mistake("body", "names no known state in 'state'");
        if (event.body.contains("reason") && !parse_reason(event.body["reason"].as_string()))
            fields.mistake("body", "names no known reason in 'reason'");
    }
    const std::size_t most = kind == "state" ? kMaxStateEventBytes : kMaxEventBytes;
    if (weight(event.body, most) > most) fields.mistake("body", fmt::format("is larger than {} bytes", most));
    if (auto ok = fields.done(); !ok) return fail(ok.error());
    return event;
}

Result<AttemptId> parse_attempt_id(const Json& json)
{
    Fields fields(json, "attempt");
    fields.ignore_unknown();
    AttemptId id;
    id.job = fields.text("job");
    id.epoch = static_cast<std::uint64_t>(fields.integer("epoch", 1, std::numeric_limits<std::int64_t>::max()));
    id.attempt = static_cast<std::uint32_t>(fields.integer("attempt", 1, std::numeric_limits<std::uint32_t>::max()));
    if (!id.job.empty() && !is_uid(id.job)) fields.mistake("job", "is no uid");
    if (auto ok = fields.done(); !ok) return fail(ok.error());
    return id;
}

std::optional<JobState> final_state(const Event& event)
{
    if (event.kind != EventKind::state) return std::nullopt;
    const auto state = parse_state(event.body["state"].as_string());
    return state && is_final(*state) ? state : std::nullopt;
}

Event state_event(std::uint64_t sequence, WallTime time, JobState state, std::optional<Reason> reason, Json more)
{
    Json body = Json::object({{"state", name(state)}});
    if (reason) body.set("reason", name(*reason));
    for (const auto& [key, value] : more.as_object()) body.set(key, value);
    return {sequence, time, EventKind::state, std::move(body)};
}

}  // namespace mill::protocol
