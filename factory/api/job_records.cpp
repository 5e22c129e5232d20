#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"

namespace mill::factory::handler {
namespace {

/// A log that is held open until there is more of it, the job has ended, or the time is over.
struct Follow : std::enable_shared_from_this<Follow> {
    Follow(Service& the_service, CallPtr the_call) : service(the_service), call(std::move(the_call)) {}
    Service& service;
    CallPtr call;
    std::string job, cursor;
    std::size_t limit = 100;
    std::mutex mutex;
    bool answered = false;
    std::uint64_t waiter = 0, timer = 0;

    /// True when it has answered. `last`: answer even with nothing.
    bool look(bool last)
    {
        const auto reader = service.core.reader();
        auto record = reader->job(job);
        const bool ended = record && protocol::is_final(record->state);   // read before the events: none can come later
        auto page = record ? reader->events(job, protocol::EventKind::log, cursor, limit) : Result<Page<StoredEvent>>(fail(record.error()));
        if (page && page->items.empty() && !ended && !last) return false;
        {
            const std::scoped_lock lock(mutex);
            if (std::exchange(answered, true)) return true;
        }
        if (!record && record.error().code == Errc::not_found) {
            reply_problem(*call, 404, fmt::format("job '{}' is not there", job.substr(0, 80)), "unknown_job");
            return true;
        }
        if (!passed(*call, page)) return true;
        Json items = Json::array();
        for (const StoredEvent& each : page->items) items.push(log_item(each));
        const bool all = page->items.size() < limit;
        reply(*call, 200, Json::object({{"job", Json(job)}, {"items", std::move(items)}, {"next", Json(page->next)}, {"ended", Json(ended && all)}}));
        return true;
    }

    void wake()
    {
        if (look(false)) release();
        else park();
    }

    void park()
    {
        const auto ticket = service.log_waiters.wait(job, [self = shared_from_this()] {
            // On the writer thread: read and answer elsewhere.
            self->service.later.at(Milliseconds(0), [self] { self->wake(); });
        });
        {
            const std::scoped_lock lock(mutex);
            waiter = ticket;
        }
        if (look(false)) release();   // what arrived between the look and the wait
    }

    void release()
    {
        std::uint64_t held = 0, due = 0;
        {
            const std::scoped_lock lock(mutex);
            held = std::exchange(waiter, 0);
            due = std::exchange(timer, 0);
        }
        service.log_waiters.drop(job, held);
        service.later.drop(due);
    }
};

}  // namespace

void job_log(Service& service, const CallPtr& call)
{
    auto limit = limit_of(*call, 500);
    auto wait = number_of(*call, "wait", 0, 30, 0);
    if (!passed(*call, limit) || !passed(*call, wait)) return;
    auto follow = std::make_shared<Follow>(service, call);
    follow->job = (*call)["uid"];
    follow->cursor = call->http.query_value("after");
    follow->limit = *limit;
    if (follow->look(*wait == 0)) return;
    const auto ticket = service.later.at(std::chrono::seconds(*wait), [follow] {
        follow->look(true);
        follow->release();
    });
    {
        const std::scoped_lock lock(follow->mutex);
        follow->timer = ticket;
    }
    follow->park();
}

void job_steps(Service& service, const CallPtr& call)
{
    auto limit = limit_of(*call, 1000);
    if (!passed(*call, limit)) return;
    const auto reader = service.core.reader();
    auto job = reader->job((*call)["uid"]);
    if (!job && job.error().code == Errc::not_found) return reply_problem(*call, 404, fmt::format("job '{}' is not there", (*call)["uid"].substr(0, 80)), "unknown_job");
    if (!passed(*call, job)) return;
    auto page = reader->events(job->uid, protocol::EventKind::step, call->http.query_value("after"), *limit);
    if (!passed(*call, page)) return;
    Json items = Json::array();
    for (const StoredEvent& each : page->items) items.push(step_item(each));
    Json out = Json::object({{"job", Json(job->uid)}, {"items", std::move(items)}});
    if (page->items.size() == *limit) out.set("next", Json(page->next));
    reply(*call, 200, out);
}

}  // namespace mill::factory::handler
