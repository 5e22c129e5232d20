#include <charconv>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"

namespace mill::factory::handler {
namespace {

void line(std::string& out, std::string_view name, std::string_view type, std::string_view help)
{
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

/// Whether a restricted token may see a row; nothing for one that may see all.
EventStream::Sees sees_events(const Identity& identity)
{
    if (identity.everywhere()) return {};
    const auto jobs = std::make_shared<std::map<std::string, bool>>();   // of one watcher, on the stream's thread
    return [identity, jobs](const FeedRow& row, Reader& reader) {
        const auto in_place = [&](About about, const std::string& name) { return identity.has(Role::viewer, place_of(reader, about, name, false)); };
        const std::string& job = row.kind == "job" ? row.subject : row.detail["job"].as_string();
        if (!job.empty()) {
            if (jobs->size() > 10'000) jobs->clear();
            const auto [known, added] = jobs->try_emplace(job, false);
            if (added) known->second = in_place(About::job, job);
            return known->second;
        }
        if (row.kind == "package") return true;
        if (row.kind == "agent") return in_place(About::agent, row.subject);
        if (row.kind == "delivery") return in_place(About::delivery, row.subject);
        const auto slash = row.subject.find('/');
        if (row.kind != "resource" || slash == std::string::npos) return false;   // the factory's own
        const std::string kind = row.subject.substr(0, slash), name = row.subject.substr(slash + 1);
        const auto document = reader.document(kind, name);
        return document && identity.has(Role::viewer, place_of_document(specs_in(reader), kind, name, document->spec));
    };
}

}  // namespace

void events(Service& service, const CallPtr& call)
{
    std::string_view text = call->http.header("last-event-id");
    if (text.empty()) text = call->http.query_value("after");
    std::uint64_t after = 0;
    if (!text.empty()) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), after);
        if (error != std::errc() || end != text.data() + text.size())
            return reply_problem(*call, 400, fmt::format("Last-Event-ID must be a number as events carry it; found '{}'", text.substr(0, 100)));
    } else {
        auto last = service.core.reader()->last_feed_sequence();
        if (!passed(*call, last)) return;
        after = *last;
    }
    std::string subject(call->http.query_value("job"));
    if (subject.empty()) subject = call->http.query_value("subject");
    service.events.watch(call->responder, after, std::move(subject), sees_events(call->identity), [&service, id = call->identity.id, ends = call->identity.ends] {
        return (!ends || service.clock.now() < *ends) && service.tokens.still_valid(id);
    });
}

void healthz(Service&, const CallPtr& call)
{
    reply(*call, 200, Json::object({{"status", "ok"}, {"version", Json(MILL_VERSION)}}));
}

void readyz(Service& service, const CallPtr& call)
{
    const auto totals = service.core.reader()->totals();
    if (!totals) return reply_problem(*call, 503, fmt::format("the store does not answer: {}", totals.error().what), "not_ready");
    const std::string problem = service.checker->problem();   // jobs go on without: no reason to send callers elsewhere
    reply(*call, 200, Json::object({{"status", "ok"}, {"packageChecks", Json(problem.empty() ? "ok" : problem)}}));
}

void metrics(Service& service, const CallPtr& call)
{
    if (!is_loopback(call->http.remote)) {
        const auto header = call->http.header("authorization");
        const auto identity = service.tokens.authenticate(header.size() > 7 && header.starts_with("Bearer ") ? header.substr(7) : std::string_view());
        if (!identity || !identity->has(Role::viewer, {}))
            return reply_problem(*call, 401, "off loopback /metrics needs a token of role viewer or above in all environments", "unauthorized", {},
                                 {{"WWW-Authenticate", "Bearer realm=\"millwright\""}});
    }
    const auto totals = service.core.reader()->totals();
    const auto agents = service.core.agents();
    if (!passed(*call, totals) || !passed(*call, agents)) return;
    std::string out;
    line(out, "millwright_jobs", "gauge", "Jobs by state.");
    const std::pair<std::string_view, std::uint64_t> states[] = {{"ready", totals->ready}, {"assigned", totals->assigned}, {"running", totals->running},
                                                                 {"waiting", totals->waiting}, {"successful", totals->successful}, {"failed", totals->failed},
                                                                 {"cancelled", totals->cancelled}, {"expired", totals->expired}};
    for (const auto& [state, count] : states) out += fmt::format("millwright_jobs{{state=\"{}\"}} {}\n", state, count);
    line(out, "millwright_deliveries", "gauge", "Notifications that have not arrived, by state.");
    out += fmt::format("millwright_deliveries{{state=\"pending\"}} {}\nmillwright_deliveries{{state=\"dead\"}} {}\n", totals->deliveries_pending, totals->deliveries_dead);
    std::size_t online = 0, slots = 0, busy = 0;
    for (const AgentRecord& agent : *agents) {
        if (agent.online) {
            ++online;
            slots += agent.slots;
        }
        busy += agent.holds.size();
    }
    line(out, "millwright_agents", "gauge", "Enrolled agents by presence.");
    out += fmt::format("millwright_agents{{presence=\"online\"}} {}\nmillwright_agents{{presence=\"offline\"}} {}\n", online, agents->size() - online);
    line(out, "millwright_slots", "gauge", "Slots of agents online, and attempts held.");
    out += fmt::format("millwright_slots{{kind=\"all\"}} {}\nmillwright_slots{{kind=\"held\"}} {}\n", slots, busy);
    line(out, "millwright_http_calls_total", "counter", "Calls since the start.");
    out += fmt::format("millwright_http_calls_total {}\n", service.calls.load());
    line(out, "millwright_http_refused_total", "counter", "Calls refused before a handler: unknown route, method, query, token or role.");
    out += fmt::format("millwright_http_refused_total {}\n", service.refused.load());
    line(out, "millwright_http_limited_total", "counter", "Calls refused because they came too often (429).");
    out += fmt::format("millwright_http_limited_total {}\n", service.limited.load());
    line(out, "millwright_runs_accepted_total", "counter", "Jobs accepted since the start.");
    out += fmt::format("millwright_runs_accepted_total {}\n", service.runs.load());
    line(out, "millwright_event_watchers", "gauge", "Open event streams.");
    out += fmt::format("millwright_event_watchers {}\n", service.events.watchers());
    HttpReply reply;
    reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
    reply.body = std::move(out);
    call->responder.reply(std::move(reply));
}

}  // namespace mill::factory::handler
