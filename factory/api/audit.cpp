// The audit log: reading it, and whether it is as it was written.
#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "platform/base/encode.h"

namespace mill::factory::handler {
namespace {

Json row_json(const AuditRow& row)
{
    Json out = Json::object({{"id", Json(row.id)}, {"time", Json(format_time(row.time))}, {"who", Json(row.who)}, {"action", Json(row.action)}, {"kind", Json(row.kind)},
                             {"subject", Json(row.subject)}});
    set_text(out, "remote", row.remote);
    if (!row.detail.is_null()) out.set("detail", row.detail);
    return out.set("hash", Json(to_hex(row.hash)));
}

/// A time, or how long ago. False: the call was answered.
bool read_moment(Service& service, const Call& call, const char* name, std::optional<WallTime>& out)
{
    const std::string_view text = call.http.query_value(name);
    if (text.empty()) return true;
    if (const auto time = parse_time(text)) out = *time;
    else if (const auto span = parse_duration(text)) out = service.clock.now() - *span;
    else reply_problem(call, 400, fmt::format("query '{}' must be an RFC 3339 time or a duration such as 2h; found '{}'", name, text.substr(0, 100)));
    return out.has_value();
}

}  // namespace

void audit(Service& service, const CallPtr& call)
{
    auto limit = limit_of(*call);
    if (!passed(*call, limit)) return;
    const HttpCall& http = call->http;
    AuditQuery query{.who = std::string(http.query_value("who")), .action = std::string(http.query_value("action")), .kind = std::string(http.query_value("kind")),
                     .subject = std::string(http.query_value("subject")), .since = {}, .until = {}, .cursor = std::string(http.query_value("cursor")), .limit = *limit};
    if (!read_moment(service, *call, "since", query.since) || !read_moment(service, *call, "until", query.until)) return;
    auto page = service.core.reader()->audit(query);
    if (!passed(*call, page)) return;
    Json items = Json::array();
    for (const AuditRow& row : page->items) items.push(row_json(row));
    Json out = Json::object({{"items", std::move(items)}});
    set_text(out, "next", page->next);
    reply(*call, 200, out);
}

void verify_audit(Service& service, const CallPtr& call)
{
    const std::string_view text = call->http.query_value("head");
    const auto head = from_hex(text);
    if (!text.empty() && (!head || head->size() != 32)) return reply_problem(*call, 400, "query 'head' must be 64 hexadecimal digits: a hash that `millwright audit verify` printed before");
    // A read of the whole log takes longer than a call may hold a server's thread.
    const bool taken = service.worker.post([&service, call, head = text.empty() ? std::string() : *head] {
        const auto verdict = service.core.reader()->verify_audit(head);
        if (!passed(*call, verdict)) return;
        reply(*call, 200, to_json(*verdict));
    });
    if (!taken) reply_problem(*call, 503, "too much waits to be done: ask again in a moment", "busy", {}, {{"Retry-After", "5"}});
}

}  // namespace mill::factory::handler
