#include "agent/self/own_log.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/log_sink.h"
#include "platform/files.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::size_t kMostText = 2000, kBatch = 500;
constexpr std::chrono::milliseconds kGather{500};   // lines come in groups
constexpr std::chrono::seconds kAnswerTime{20};

/// At most `most` bytes, whole characters.
std::string cut(std::string_view text, std::size_t most)
{
    if (text.size() > most) {
        text = text.substr(0, most);
        while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.remove_suffix(1);
        if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.remove_suffix(1);
    }
    return std::string(text);
}

Json to_json(const OwnLog::Line& line)
{
    return Json::object({{"sequence", line.sequence}, {"time", format_time(line.time)}, {"level", line.level}, {"room", line.room}, {"text", line.text}});
}

std::optional<OwnLog::Line> read_line(std::string_view text)
{
    auto json = parse_json(text);
    if (!json) return std::nullopt;   // torn by a kill
    auto time = parse_time((*json)["time"].as_string());
    const std::int64_t sequence = (*json)["sequence"].as_integer();
    if (!time || sequence <= 0) return std::nullopt;
    return OwnLog::Line{static_cast<std::uint64_t>(sequence), *time, (*json)["level"].as_string(), (*json)["room"].as_string(), (*json)["text"].as_string()};
}

}  // namespace

Result<std::unique_ptr<OwnLog>> OwnLog::open(const std::string& path, const Clock& clock, std::size_t quota)
{
    auto file = platform::AppendFile::open(path);
    if (!file) return fail(path, std::move(file.error()));
    std::unique_ptr<OwnLog> out(new OwnLog(std::move(*file), path, clock, quota));
    // More than ever is written: the rest of a file that somebody put there is not read.
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(out->file_.size(), 8 * quota));
    auto text = out->file_.read(0, size);
    if (!text) return fail(path, std::move(text.error()));
    const std::scoped_lock lock(out->mutex_);
    out->last_ = static_cast<std::uint64_t>(std::max<std::int64_t>(clock.now().microseconds, 1));
    for (std::string_view rest = *text; !rest.empty();) {
        const std::size_t end = rest.find('\n');
        if (auto line = read_line(rest.substr(0, end)); line && (out->lines_.empty() || line->sequence > out->lines_.back().sequence)) {
            out->bytes_ += line->text.size();
            out->last_ = std::max(out->last_, line->sequence);
            out->lines_.push_back(std::move(*line));
        }
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    out->drop_oldest_locked();
    out->rewrite_locked();
    return out;
}

void OwnLog::take(log::Level level, std::string_view room, std::string_view text)
{
    {
        const std::scoped_lock lock(mutex_);
        keep_locked({++last_, clock_.now(), std::string(log::name(level)), cut(room, 40), cut(text, kMostText)});
    }
    come_.notify_one();
}

void OwnLog::keep_locked(Line line)
{
    bytes_ += line.text.size();
    // A disk that is full costs the copy on it, not the line.
    (void)file_.append(dump_json(to_json(line)) + "\n");
    lines_.push_back(std::move(line));
    drop_oldest_locked();
    if (file_.size() > 4 * quota_) rewrite_locked();
}

void OwnLog::drop_oldest_locked()
{
    while (lines_.size() > 1 && bytes_ > quota_) {
        bytes_ -= lines_.front().text.size();
        lines_.pop_front();
        ++lost_;
    }
}

void OwnLog::rewrite_locked()
{
    if (!file_.truncate(0)) return;
    std::string text;
    for (const Line& line : lines_) text += dump_json(to_json(line)) + "\n";
    if (!text.empty()) (void)file_.append(text);
}

bool OwnLog::wait(std::stop_token stop)
{
    std::unique_lock lock(mutex_);
    return come_.wait(lock, stop, [&] { return !lines_.empty(); });
}

std::vector<OwnLog::Line> OwnLog::pending(std::size_t most) const
{
    const std::scoped_lock lock(mutex_);
    std::vector<Line> out;
    // It takes the number of the last line that is gone.
    if (lost_ > 0 && !lines_.empty())
        out.push_back({lines_.front().sequence - 1, lines_.front().time, "warning", "log", fmt::format("{} lines before this one were not kept: more than {} bytes waited", lost_, quota_)});
    for (const Line& line : lines_) {
        if (out.size() >= most) break;
        out.push_back(line);
    }
    return out;
}

void OwnLog::acknowledge(std::uint64_t sequence)
{
    const std::scoped_lock lock(mutex_);
    if (sequence > last_) {
        for (Line& line : lines_) line.sequence = ++sequence;
        last_ = std::max(last_, sequence);
        rewrite_locked();
        return;
    }
    lost_ = 0;
    while (!lines_.empty() && lines_.front().sequence <= sequence) {
        bytes_ -= lines_.front().text.size();
        lines_.pop_front();
    }
    if (!lines_.empty()) return;
    if (file_.size() > 0) (void)file_.truncate(0);
    gone_.notify_all();
}

bool OwnLog::wait_empty(Milliseconds time)
{
    std::unique_lock lock(mutex_);
    return gone_.wait_for(lock, time, [&] { return lines_.empty(); });
}

void ship_log(OwnLog& own_log, FactoryClient& factory, const Clock& clock, Vitals::Loop& vital, std::stop_token stop)
{
    Backoff backoff;
    for (;;) {
        vital.idle();
        if (!own_log.wait(stop)) return;
        vital.within(kGather + kAnswerTime * 2 + std::chrono::seconds(60));
        if (!clock.sleep(kGather, stop)) return;
        Json lines = Json::array();
        const std::vector<OwnLog::Line> batch = own_log.pending(kBatch);
        for (const OwnLog::Line& line : batch) lines.push(to_json(line));
        Refusal refusal;
        auto answer = factory.post(protocol::route::kAgentLog, dump_json(Json::object({{"lines", std::move(lines)}})), kAnswerTime, stop, &refusal);
        if (stop.stop_requested()) return;
        if (refusal.status == 404) return vital.idle();   // an older factory keeps no logs
        const std::uint64_t kept = answer ? static_cast<std::uint64_t>(std::max<std::int64_t>(0, (*answer)["acknowledged"].as_integer())) : 0;
        if (kept >= batch.front().sequence) {
            own_log.acknowledge(kept);
            backoff.reset();
            vital.good();
            continue;
        }
        if (refusal.status == 400 || refusal.status == 413) own_log.acknowledge(batch.back().sequence);   // it never will
        vital.bad(answer ? "the factory keeps none of the lines" : answer.error().what);
        const Milliseconds pause = std::max(backoff.next(refusal), Milliseconds(1000));
        vital.within(pause + std::chrono::seconds(60));
        factory.pulse().wait(pause, refusal, stop);
    }
}

}  // namespace mill::agent
