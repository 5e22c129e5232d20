#include <functional>
#include <map>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "platform/base/fields.h"

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

/// Which of them: `json` names notifier, state, event, job, since, until. False: the call was answered.
static bool read_filter(Service& service, const Call& call, const std::function<std::string(const char*)>& text, DeliveryQuery& query)
{
    query.job = text("job");
    query.notifier = text("notifier");
    query.event = text("event");
    if (const std::string state = text("state"); !state.empty()) {
        for (const auto each : {DeliveryState::pending, DeliveryState::delivered, DeliveryState::dead})
            if (name(each) == state) query.state = each;
        if (!query.state) {
            reply_problem(call, 400, fmt::format("'state' must be one of pending, delivered, dead; found '{}'", state));
            return false;
        }
    }
    for (const auto& [member, time] : {std::pair{"since", &query.since}, {"until", &query.until}}) {
        const std::string given = text(member);
        if (given.empty()) continue;
        if (const auto at = parse_time(given)) *time = *at;
        else if (const auto span = parse_duration(given)) *time = service.clock.now() - *span;
        else {
            reply_problem(call, 400, fmt::format("'{}' must be an RFC 3339 time or a duration such as 2h; found '{}'", member, given));
            return false;
        }
    }
    return true;
}

void list_deliveries(Service& service, const CallPtr& call)
{
    DeliveryQuery query;
    if (!read_filter(service, *call, [&](const char* name) { return std::string(call->http.query_value(name)); }, query)) return;
    query.cursor = call->http.query_value("cursor");
    auto limit = limit_of(*call);
    if (!passed(*call, limit)) return;
    query.limit = *limit;
    query.within = visible(call->identity);
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

void resend_matching(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "resend");
    std::map<std::string, std::string, std::less<>> given;
    for (const char* member : {"notifier", "event", "job", "since", "until"}) given[member] = fields.text(member, "");
    given["state"] = fields.one_of("state", {"dead", "delivered"}, "dead");   // a pending one goes out anyway, and may be in hand
    const bool only_look = fields.boolean("dryRun", false);
    const std::int64_t limit = fields.integer("limit", 1, 1000, 1000);
    if (given["notifier"].empty() && given["event"].empty() && given["job"].empty() && given["since"].empty())
        fields.mistake("notifier", "is missing: say at least one of notifier, event, job or since, or all there ever were would be meant");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    DeliveryQuery query;
    if (!read_filter(service, *call, [&](const char* name) { return given[name]; }, query)) return;
    query.limit = static_cast<std::size_t>(limit);
    query.within = visible(call->identity);
    service.core.resend_all(query, only_look, call->who(), [call, only_look](const Result<Resent>& resent) {
        if (!resent && resent.error().code == Errc::not_found) return reply_problem(*call, 404, resent.error().what);
        if (!passed(*call, resent)) return;
        Json items = Json::array(), refused = Json::array();
        for (const DeliveryRecord& each : resent->items) items.push(delivery_json(each, false));
        for (const DeliveryRecord& each : resent->refused) refused.push(delivery_json(each, false));
        reply(*call, only_look ? 200 : 202, Json::object({{"items", std::move(items)}, {"refused", std::move(refused)}, {"more", Json(resent->more)}, {"dryRun", Json(only_look)}}));
    });
}

}  // namespace mill::factory::handler
