#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "platform/base/fields.h"
#include "platform/base/ids.h"

namespace mill::factory::handler {
namespace {

void unknown_delivery(const Call& call)
{
    reply_problem(call, 404, fmt::format("delivery '{}' is not there", call["id"].substr(0, 80)), "unknown_delivery");
}

}  // namespace

void job_deliveries(Service& service, const CallPtr& call)
{
    const auto reader = service.core.reader();
    auto job = reader->job((*call)["uid"]);
    if (!job && job.error().code == Errc::not_found) return reply_problem(*call, 404, fmt::format("job '{}' is not there", (*call)["uid"].substr(0, 80)), "unknown_job");
    if (!passed(*call, job)) return;
    DeliveryQuery query;
    query.job = job->uid;
    query.limit = 1000;
    auto page = reader->deliveries(query);
    if (!passed(*call, page)) return;
    Json items = Json::array();
    for (const DeliveryRecord& each : page->items) {
        auto whole = reader->delivery(each.id);
        items.push(whole ? delivery_json(*whole, true) : delivery_json(each, false));
    }
    reply(*call, 200, Json::object({{"job", Json(job->uid)}, {"items", std::move(items)}}));
}

void list_deliveries(Service& service, const CallPtr& call)
{
    DeliveryQuery query;
    query.job = call->http.query_value("job");
    query.notifier = call->http.query_value("notifier");
    query.cursor = call->http.query_value("cursor");
    if (const auto state = call->http.query_value("state"); !state.empty()) {
        for (const auto each : {DeliveryState::pending, DeliveryState::delivered, DeliveryState::dead})
            if (name(each) == state) query.state = each;
        if (!query.state) return reply_problem(*call, 400, fmt::format("query 'state' must be one of pending, delivered, dead; found '{}'", state));
    }
    auto limit = limit_of(*call);
    if (!passed(*call, limit)) return;
    query.limit = *limit;
    const auto reader = service.core.reader();
    auto page = reader->deliveries(query);
    if (!passed(*call, page)) return;
    Json items = Json::array();
    for (const DeliveryRecord& each : page->items) {
        auto whole = reader->delivery(each.id);
        items.push(whole ? delivery_json(*whole, true) : delivery_json(each, false));
    }
    Json out = Json::object({{"items", std::move(items)}});
    set_text(out, "next", page->next);
    reply(*call, 200, out);
}

void get_delivery(Service& service, const CallPtr& call)
{
    auto delivery = service.core.reader()->delivery((*call)["id"]);
    if (!delivery && delivery.error().code == Errc::not_found) return unknown_delivery(*call);
    if (passed(*call, delivery)) reply(*call, 200, delivery_json(*delivery, true));
}

void resend(Service& service, const CallPtr& call)
{
    service.core.resend((*call)["id"], call->who(), [call](const Result<DeliveryRecord>& delivery) {
        if (!delivery && delivery.error().code == Errc::not_found) return unknown_delivery(*call);
        if (passed(*call, delivery)) reply(*call, 202, delivery_json(*delivery, false));
    });
}

void resend_job(Service& service, const CallPtr& call)
{
    DeliveryQuery query;
    query.job = (*call)["uid"];
    query.limit = 1000;
    const auto reader = service.core.reader();
    auto job = reader->job(query.job);
    if (!job && job.error().code == Errc::not_found) return reply_problem(*call, 404, fmt::format("job '{}' is not there", query.job.substr(0, 80)), "unknown_job");
    auto page = reader->deliveries(query);
    if (!passed(*call, job) || !passed(*call, page)) return;
    struct Gather {
        std::mutex mutex;
        Json items = Json::array();
        std::size_t left = 0;
    };
    auto gather = std::make_shared<Gather>();
    std::vector<std::string> ids;
    for (const DeliveryRecord& each : page->items)
        if (each.state != DeliveryState::delivered) ids.push_back(each.id);
    gather->left = ids.size();
    if (ids.empty()) return reply(*call, 202, Json::object({{"items", Json::array()}}));
    for (const std::string& id : ids)
        service.core.resend(id, call->who(), [call, gather](const Result<DeliveryRecord>& delivery) {
            const std::scoped_lock lock(gather->mutex);
            if (delivery) gather->items.push(delivery_json(*delivery, false));
            if (--gather->left == 0) reply(*call, 202, Json::object({{"items", gather->items}}));
        });
}

void test_notifier(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "test");
    const Json context = fields.object("invocationContext", Json::object({{"conversationId", "millwright-test"}}));
    const Json output = fields.any("output", Json::object({{"reply", "A test of the notifier"}}));
    const std::string event = fields.one_of("on", {"start", "success", "failure", "cancel", "expired"}, "success");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    auto notifier = service.core.reader()->document("Notifier", (*call)["name"]);
    if (!passed(*call, notifier)) return;
    if (!service.options.test_notifier) return reply_problem(*call, 501, "this factory cannot try notifiers out");
    const std::string now = format_time(service.clock.now());
    const bool ended = event != "start", failed = event == "failure" || event == "expired";
    const std::string_view state = event == "start" ? "running" : event == "success" ? "successful" : event == "cancel" ? "cancelled" : event == "failure" ? "failed" : "expired";
    Json sample = Json::object({{"event", Json(event)},
                                {"job", Json::object({{"uid", Json(new_uid())}, {"state", Json(state)}, {"trigger", notifier->spec["trigger"]}, {"deployment", "test"},
                                                      {"environment", "test"}, {"workflow", "main"}, {"attempt", 1}, {"priority", 50}, {"test", true}})},
                                {"trigger", Json::object({{"name", notifier->spec["trigger"]}})},
                                {"invocationContext", context},
                                {"input", Json::object()},
                                {"output", output},
                                {"timings", Json::object({{"created", Json(now)}, {"started", Json(now)}})}});
    if (ended) {
        Json timings = sample["timings"];
        sample.set("timings", timings.set("ended", Json(now)));
    }
    if (failed) sample.set("error", Json::object({{"type", "about:blank"}, {"title", "Test"}, {"status", 500}, {"detail", "a test of the notifier"}, {"details", "a test of the notifier"}}));
    const bool posted = service.worker.post([&service, call, document = std::move(*notifier), sample] {
        auto outcome = service.options.test_notifier(document, sample);
        if (passed(*call, outcome)) reply(*call, 200, *outcome);
    });
    if (!posted) reply_problem(*call, 503, "too much waits already: try again", {}, {}, {{"Retry-After", "2"}});
}

}  // namespace mill::factory::handler
