// factory/api/event_stream.h -- sends the feed of changes to whoever watches, as server-sent events.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "factory/core.h"
#include "factory/http/server.h"

namespace mill::factory {

/// One thread reads the store after each wake-up and fans out; nothing waits for it. Thread: any.
class EventStream {
public:
    explicit EventStream(Core& core);
    ~EventStream();   ///< ends all streams
    /// Takes the call over. `after`: the last sequence the watcher has; `subject` narrows to one job, agent or delivery. The stream ends
    /// when `allowed` says no: asked before anything is sent, at least every 15 s. `sees` says which rows go to this watcher; none: all.
    using Sees = std::function<bool(const FeedRow& row, Reader& reader)>;
    void watch(Responder responder, std::uint64_t after, std::string subject, Sees sees, std::function<bool()> allowed);
    std::size_t watchers() const;

private:
    struct Watcher {
        Responder responder;
        std::uint64_t after = 0;
        std::string subject;
        Sees sees;
        std::function<bool()> allowed;
    };
    void run(const std::stop_token& stop);
    bool feed(Watcher& watcher, Reader& reader, bool& more);

    Core& core_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::vector<std::shared_ptr<Watcher>> watchers_;
    bool news_ = false;
    std::shared_ptr<void> subscription_;
    std::jthread thread_;
};

std::string render_event(const FeedRow& row);

}  // namespace mill::factory
