#include "agent/runner/reporter.h"

#include <algorithm>

#include <fmt/core.h>

namespace mill::runner {
namespace {

constexpr Milliseconds kHold{50};
constexpr std::size_t kMaxName = 256;
constexpr std::size_t kMaxErrorText = 16 * 1024;

Json cut_error(const Json& error)
{
    Json out = Json::object();
    for (const char* member : {"type", "status", "title", "detail", "instance"})
        if (const Json* value = error.find(member))
            out.set(member, value->is_string() ? Json(shortened(value->as_string(), kMaxErrorText)) : *value);
    return out;
}

/// Texts of control characters grow sixfold as JSON: a body that became too large keeps the beginning of each.
Json shrunk(const Json& body)
{
    constexpr std::size_t kBeginning = 4096;
    Json out = Json::object();
    for (const auto& [name, value] : body.as_object()) {
        if (value.is_string()) out.set(name, value.as_string().size() > kBeginning ? fmt::format("{}{}]", cut_text(value.as_string(), kBeginning), protocol::kCutMark) : value.as_string());
        else out.set(name, value.is_object() ? shrunk(value) : value);
    }
    return out;
}

std::string message_of(const protocol::Event& event) { return dump_json(Json::object({{"event", protocol::to_json(event)}})); }

}  // namespace

std::string_view cut_text(std::string_view text, std::size_t bytes)
{
    if (text.size() <= bytes) return text;
    while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
    return text.substr(0, bytes);
}

std::string shortened(std::string_view text, std::size_t bytes)
{
    const std::string_view kept = cut_text(text, bytes);
    if (kept.size() == text.size()) return std::string(text);
    return fmt::format("{}{}: {} of {} bytes]", kept, protocol::kCutMark, kept.size(), text.size());
}

Reporter::Reporter(const Clock& clock, Send send, Resend resend, Quotas quotas)
    : clock_(clock), send_(std::move(send)), resend_(std::move(resend)), quotas_(quotas)
{
}

void Reporter::step(const workflows::TaskChange& change, Json detail)
{
    Json body = Json::object({{"task", cut_text(change.task, kMaxLogText)}, {"name", cut_text(change.name, kMaxName)},
                              {"type", cut_text(change.type, kMaxName)}, {"state", change.state}});
    if (change.state == "started") {
        held_.push_back({change.task, std::move(body), change.time, clock_.steady() + kHold});
        return;
    }
    if (!change.error.is_null()) body.set("error", cut_error(change.error));
    // A detail is evidence for whoever asked for it; a record must fit.
    if (!detail.is_null()) body.set("detail", dump_json(detail).size() <= protocol::kMaxEventBytes / 2 ? std::move(detail) : Json::object({{"cut", true}, {"call", detail["call"]}}));
    const auto found = std::find_if(held_.rbegin(), held_.rend(), [&](const Held& held) { return held.task == change.task; });
    if (change.started) {
        body.set("startedAt", format_time(*change.started));
        flush_to(held_.size());
    } else if (found != held_.rend()) {
        // What started before it must be told before it.
        const auto index = static_cast<std::size_t>(std::distance(held_.begin(), found.base()) - 1);
        body.set("startedAt", format_time(held_[index].since));
        flush_to(index);
        held_.erase(held_.begin());
    } else {
        flush_to(held_.size());
    }
    record(protocol::EventKind::step, std::move(body), change.time);
}

void Reporter::say(std::string_view level, std::string_view text, std::string_view task, bool tells)
{
    // The task that logs may still end within its one record; what surrounds it is told first.
    flush_to(!held_.empty() && held_.back().task == task ? held_.size() - 1 : held_.size());
    if (level != "debug" && level != "warning" && level != "error") level = "info";
    Json body = Json::object({{"level", level}, {"text", shortened(text, kMaxLogText)}});
    if (!task.empty()) body.set("task", cut_text(task, kMaxLogText));
    if (tells) body.set("tell", true);
    record(protocol::EventKind::log, std::move(body), clock_.now());
}

void Reporter::metric(Json point)
{
    if (finished()) return;
    flush_to(held_.size());
    add({next_++, clock_.now(), protocol::EventKind::metric, std::move(point)});
}

void Reporter::record(protocol::EventKind kind, Json body, WallTime time)
{
    if (finished()) return;
    const bool step = kind == protocol::EventKind::step;
    std::uint64_t& count = step ? steps_ : logs_;
    if (count >= (step ? quotas_.steps : quotas_.logs) || bytes_ >= quotas_.bytes) {
        ++(step ? lost_steps_ : lost_logs_);
        return;
    }
    ++count;
    add({next_++, time, kind, std::move(body)});
}

void Reporter::add(protocol::Event event)
{
    std::string text = message_of(event);
    if (event.kind != protocol::EventKind::state && text.size() > protocol::kMaxEventBytes) {
        event.body = shrunk(event.body);
        text = message_of(event);
    }
    bytes_ += text.size();
    kept_.emplace_back(event.sequence, text);
    send_(std::move(text));
}

void Reporter::state(protocol::JobState state)
{
    if (finished()) return;
    flush_to(held_.size());
    add(protocol::state_event(next_++, clock_.now(), state, {}, Json()));
}

void Reporter::finish(protocol::JobState state, protocol::Reason reason, Json more)
{
    if (finished()) return;
    flush_to(held_.size());
    for (const auto& [kind, lost] : {std::pair("step", lost_steps_), std::pair("log", lost_logs_)})
        if (lost > 0) add({next_++, clock_.now(), protocol::EventKind::gap, Json::object({{"kind", kind}, {"lost", lost}})});
    const std::uint64_t last = next_++;
    add(protocol::state_event(last, clock_.now(), state, reason, std::move(more)));
    final_ = last;
}

void Reporter::acknowledge(std::uint64_t sequence)
{
    acknowledged_ = std::max(acknowledged_, sequence);
    while (!kept_.empty() && kept_.front().first <= acknowledged_) kept_.pop_front();
}

void Reporter::resume(std::uint64_t sequence)
{
    acknowledge(sequence);
    std::deque<std::string> again;
    for (const auto& [number, text] : kept_) again.push_back(text);
    resend_(std::move(again));
}

void Reporter::flush(SteadyTime now)
{
    std::size_t count = 0;
    while (count < held_.size() && held_[count].due <= now) ++count;
    flush_to(count);
}

std::optional<SteadyTime> Reporter::flush_at() const
{
    return held_.empty() ? std::nullopt : std::optional(held_.front().due);
}

void Reporter::flush_to(std::size_t count)
{
    for (std::size_t index = 0; index < count; ++index)
        record(protocol::EventKind::step, std::move(held_[index].body), held_[index].since);
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace mill::runner
