#include "factory/api/event_stream.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/log.h"

namespace mill::factory {

constexpr std::size_t kBatch = 256;
constexpr std::size_t kMostWatchers = 1000;
constexpr std::chrono::seconds kKeepAlive{15};

EventStream::EventStream(Core& core) : core_(core)
{
    subscription_ = core_.wakeups().subscribe(Wakeups::Topic::feed, [this](std::uint64_t) {
        {
            const std::scoped_lock lock(mutex_);
            if (watchers_.empty()) return;
            news_ = true;
        }
        changed_.notify_one();
    });
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

EventStream::~EventStream()
{
    subscription_.reset();
    thread_.request_stop();
    thread_.join();
    for (const auto& watcher : watchers_) watcher->responder.end_stream();
}

std::size_t EventStream::watchers() const
{
    const std::scoped_lock lock(mutex_);
    return watchers_.size();
}

void EventStream::watch(Responder responder, std::uint64_t after, std::string subject, Sees sees, std::function<bool()> allowed)
{
    HttpReply head;
    head.content_type = "text/event-stream";
    head.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
    if (!responder.start_stream(std::move(head))) return;
    responder.send_piece("retry: 2000\n\n");
    auto watcher = std::make_shared<Watcher>(Watcher{std::move(responder), after, std::move(subject), std::move(sees), std::move(allowed)});
    {
        const std::scoped_lock lock(mutex_);
        if (watchers_.size() >= kMostWatchers) {
            watcher->responder.end_stream();
            return;
        }
        watchers_.push_back(watcher);
        news_ = true;
    }
    changed_.notify_one();
}

std::string render_event(const FeedRow& row)
{
    Json data = Json::object({{"time", Json(format_time(row.time))}, {"kind", Json(row.kind)}, {"subject", Json(row.subject)}, {"what", Json(row.what)}});
    if (!row.detail.is_null()) data.set("detail", row.detail);
    return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", row.sequence, row.kind, dump_json(data));
}

bool EventStream::feed(Watcher& watcher, Reader& reader, bool& more)
{
    const auto rows = reader.feed(watcher.after, kBatch);
    if (!rows) {
        log::warning("api", "event stream: {}", rows.error().what);
        return false;
    }
    std::string text;
    for (const FeedRow& row : *rows) {
        watcher.after = row.sequence;
        const bool asked = watcher.subject.empty() || row.subject == watcher.subject || row.detail["job"].as_string() == watcher.subject;
        if (asked && (!watcher.sees || watcher.sees(row, reader))) text += render_event(row);
    }
    if (rows->size() == kBatch) more = true;
    return text.empty() || watcher.responder.send_piece(std::move(text));
}

void EventStream::run(const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        std::vector<std::shared_ptr<Watcher>> watchers;
        bool news = false;
        {
            std::unique_lock lock(mutex_);
            if (watchers_.empty()) {
                changed_.wait(lock, stop, [&] { return news_; });
            } else {
                changed_.wait_for(lock, stop, kKeepAlive, [&] { return news_; });
            }
            news = std::exchange(news_, false);
            watchers = watchers_;
        }
        if (stop.stop_requested()) return;
        std::vector<std::shared_ptr<Watcher>> gone;
        bool more = false;
        if (news) {
            const auto reader = core_.reader();
            for (const auto& watcher : watchers)
                if (!watcher->allowed() || !feed(*watcher, *reader, more)) gone.push_back(watcher);
        } else {
            for (const auto& watcher : watchers)
                if (!watcher->allowed() || !watcher->responder.send_piece(": still here\n\n")) gone.push_back(watcher);
        }
        for (const auto& watcher : gone) watcher->responder.end_stream();
        const std::scoped_lock lock(mutex_);
        if (more) news_ = true;
        std::erase_if(watchers_, [&](const auto& each) { return std::find(gone.begin(), gone.end(), each) != gone.end(); });
    }
}

}  // namespace mill::factory
