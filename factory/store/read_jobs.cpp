#include <algorithm>

#include <fmt/format.h>

#include "factory/store/sqlite_reader.h"
#include "factory/store/value_files.h"

namespace mill::factory::sqlite {

using protocol::JobState;

std::shared_ptr<const Binding> SqliteReader::known_binding(std::int64_t id)
{
    auto& known = bindings_[id];
    if (known) return known;
    auto read = binding(id);
    if (!read) return std::make_shared<const Binding>();
    known = std::make_shared<const Binding>(std::move(*read));
    return known;
}

Result<Binding> SqliteReader::binding(std::int64_t id)
{
    Rows rows = db_.query("select b.id, b.key, n.name, b.deployment, b.environment, b.workflow, b.package_name, b.package_version, "
                          "b.package_digest, b.repeatable, b.spec from bindings b join names n on n.id = b.trigger_id where b.id = ?1", id);
    if (!rows.next()) return none(rows, "binding", std::to_string(id));
    const Json spec = rows.json(10);
    return Binding{.id = rows.integer(0), .key = rows.string(1), .trigger = rows.string(2), .deployment = rows.string(3),
                   .environment = rows.string(4), .workflow = rows.string(5), .package_name = rows.string(6),
                   .package_version = rows.string(7), .package_digest = rows.string(8), .repeatable = rows.boolean(9),
                   .variables = spec["variables"], .credentials = spec["credentials"], .permissions = spec["permissions"],
                   .rules = spec["rules"]};
}

Result<std::int64_t> SqliteReader::job_key(std::string_view uid)
{
    Rows rows = db_.query("select id from jobs where uid = ?1", uid);
    if (!rows.next()) return none(rows, "job", uid);
    return rows.integer(0);
}

constexpr std::string_view kJobColumns =
    "j.id, j.uid, j.binding, j.state, j.reason, j.priority, j.created, j.expires, j.assigned, j.started, j.ended, j.attempt, "
    "a.uid, a.name, j.requested_by, j.retry_of, j.retried_by, j.cancel_by, j.cancel_why, j.cancel_at";

JobRecord SqliteReader::job_row(const Rows& rows)
{
    JobRecord job;
    job.uid = rows.string(1);
    const auto binding = known_binding(rows.integer(2));
    job.state = static_cast<JobState>(rows.integer(3));
    if (!rows.null(4)) job.reason = static_cast<protocol::Reason>(rows.integer(4));
    job.priority = static_cast<int>(rows.integer(5));
    job.created = rows.time(6);
    job.expires = rows.optional_time(7);
    job.assigned = rows.optional_time(8);
    job.started = rows.optional_time(9);
    job.ended = rows.optional_time(10);
    job.attempt = static_cast<std::uint32_t>(rows.integer(11));
    job.agent_id = rows.string(12);
    job.agent = rows.string(13);
    job.requested_by = rows.string(14);
    job.retry_of = rows.string(15);
    job.retried_by = rows.string(16);
    if (!rows.null(19)) job.cancel = CancelRequest{rows.string(17), rows.string(18), rows.time(19)};
    job.trigger = binding->trigger;
    job.deployment = binding->deployment;
    job.environment = binding->environment;
    job.workflow = binding->workflow;
    job.package_name = binding->package_name;
    job.package_version = binding->package_version;
    job.package_digest = binding->package_digest;
    job.repeatable = binding->repeatable;
    return job;
}

Result<JobRecord> SqliteReader::job(std::string_view uid)
{
    static const std::string sql = fmt::format(
        "select {}, i.input, i.context, o.output, o.error, o.evidence from jobs j left join agents a on a.id = j.agent "
        "left join inputs i on i.job = j.id left join outcomes o on o.job = j.id where j.uid = ?1", kJobColumns);
    Rows rows = db_.query(sql.c_str(), uid);
    if (!rows.next()) return none(rows, "job", uid);
    JobRecord job = job_row(rows);
    Json* const values[] = {&job.input, &job.context, &job.output, &job.error, &job.evidence};
    for (int i = 0; i < 5; ++i) {
        auto value = whole_json(folder_, rows, 20 + i);
        if (!value) return fail(fmt::format("job {}", uid), value.error());
        *values[i] = std::move(*value);
    }
    return job;
}

namespace {

constexpr Milliseconds kClockSetBack{3'600'000};   // by at most so much: jobs are stored in the order in which they came

// A page is made of at most so many rows, found or not: what few of a million jobs match takes several pages, not a second of somebody's time.
constexpr std::size_t kRowsOfPage = 20'000;

bool is_asked(const JobQuery& query, const Binding& binding)
{
    return (query.trigger.empty() || query.trigger == binding.trigger) && (query.deployment.empty() || query.deployment == binding.deployment) &&
           (query.environment.empty() || query.environment == binding.environment) &&
           (query.within.empty() || query.within.find(fmt::format("|{}|", binding.environment)) != std::string::npos);
}

}  // namespace

Result<Page<JobRecord>> SqliteReader::jobs(const JobQuery& query)
{
    const auto place = read_cursor(query.cursor);
    if (!place) return fail(place.error());
    // One text per shape, so that each has its own index: active, unsuccessful, of a trigger, all. The rest is looked at here, row by row.
    static const std::string kHead = fmt::format("select {} from jobs j left join agents a on a.id = j.agent where ", kJobColumns);
    constexpr const char* kDown = "and (?1 = 0 or j.id < ?1) and ?2 = ?2 and ?3 = ?3 order by j.id desc";
    static const std::string kAll = fmt::format("{} 1 {}", kHead, kDown);
    static const std::string kActive = fmt::format("{} j.state < 4 and j.state = ?2 {}", kHead, kDown);
    static const std::string kOldest = fmt::format("{} j.state < 4 and j.state = ?2 and j.id > ?1 and ?3 = ?3 order by j.id", kHead);
    static const std::string kEnded = fmt::format("{} j.state > 4 and j.state = ?2 {}", kHead, kDown);
    static const std::string kTrigger = fmt::format("{} j.trigger_id = (select id from names where name = ?3) {}", kHead, kDown);
    const std::string* sql = &kAll;
    if (query.state && *query.state < JobState::successful) sql = query.oldest_first ? &kOldest : &kActive;
    else if (!query.trigger.empty()) sql = &kTrigger;
    else if (query.state && *query.state > JobState::successful) sql = &kEnded;

    Rows rows = db_.query(sql->c_str(), *place, query.state ? static_cast<std::int64_t>(*query.state) : 0, query.trigger);
    Page<JobRecord> page;
    std::size_t seen = 0;
    while (page.items.size() < query.limit && rows.next()) {
        page.next = rows.string(0);
        if (query.since && rows.time(6) < *query.since - kClockSetBack) break;   // those before are older still
        if ((!query.state || rows.integer(3) == static_cast<std::int64_t>(*query.state)) && (!query.since || rows.time(6) >= *query.since) &&
            (query.agent.empty() || rows.text(13) == query.agent) && is_asked(query, *known_binding(rows.integer(2))))
            page.items.push_back(job_row(rows));
        if (++seen >= kRowsOfPage) return page;
    }
    if (!rows.status()) return fail(rows.status().error());
    if (page.items.size() < query.limit) page.next.clear();
    return page;
}

Result<std::vector<WaitingCount>> SqliteReader::waiting()
{
    // The index alone is read: a count and the lowest id of each binding.
    Rows rows = db_.query("select r.binding, r.jobs, j.uid from (select binding, count(*) as jobs, min(id) as first from jobs indexed by jobs_ready where state = 0 "
                          "and id not in (select job from questions where state = 0 and attempt = 0) group by binding) r "
                          "join jobs j on j.id = r.first order by r.first");
    std::vector<WaitingCount> out;
    std::map<std::string, std::size_t> known;
    while (rows.next()) {
        const std::string& trigger = known_binding(rows.integer(0))->trigger;
        const auto [at, fresh] = known.try_emplace(trigger, out.size());
        if (fresh) out.push_back({trigger, 0, rows.string(2)});
        out[at->second].jobs += static_cast<std::uint64_t>(rows.integer(1));
    }
    if (!rows.status()) return fail(rows.status().error());
    std::stable_sort(out.begin(), out.end(), [](const WaitingCount& a, const WaitingCount& b) { return a.jobs > b.jobs; });
    return out;
}

Result<std::vector<TimelineRow>> SqliteReader::timeline(std::string_view job)
{
    const auto key = job_key(job);
    if (!key) return fail(key.error());
    Rows rows = db_.query("select sequence, time, what, attempt, agent, reason, detail from feed where job = ?1 and kind = 'job' order by sequence", *key);
    std::vector<TimelineRow> out;
    while (rows.next())
        out.push_back({.sequence = static_cast<std::uint64_t>(rows.integer(0)), .time = rows.time(1), .what = rows.string(2),
                       .attempt = static_cast<std::uint32_t>(rows.integer(3)), .agent = rows.string(4), .reason = rows.string(5),
                       .detail = rows.json(6)});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::vector<FeedRow>> SqliteReader::feed(std::uint64_t after, std::size_t limit)
{
    Rows rows = db_.query("select f.sequence, f.time, f.kind, coalesce(f.subject, j.uid), f.what, f.attempt, f.agent, f.reason, f.detail, j.uid "
                          "from feed f left join jobs j on j.id = f.job where f.sequence > ?1 order by f.sequence limit ?2", after,
                          std::uint64_t{limit});
    std::vector<FeedRow> out;
    while (rows.next()) {
        FeedRow row{.sequence = static_cast<std::uint64_t>(rows.integer(0)), .time = rows.time(1), .kind = rows.string(2),
                    .subject = rows.string(3), .what = rows.string(4), .detail = rows.json(8)};
        if (row.detail.is_null()) row.detail = Json::object();
        if (rows.integer(5) != 0) row.detail.set("attempt", rows.integer(5));
        if (!rows.null(6)) row.detail.set("agent", rows.string(6));
        if (!rows.null(7)) row.detail.set("reason", rows.string(7));
        if (row.kind != "job" && !rows.null(9)) row.detail.set("job", rows.string(9));
        out.push_back(std::move(row));
    }
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::uint64_t> SqliteReader::last_feed_sequence()
{
    Rows rows = db_.query("select coalesce(max(sequence), 0) from feed");
    if (!rows.next()) return none(rows, "feed", "last");
    return static_cast<std::uint64_t>(rows.integer(0));
}

Result<StoreTotals> SqliteReader::totals()
{
    StoreTotals totals;
    std::uint64_t* const counts[] = {&totals.ready, &totals.assigned, &totals.running, &totals.waiting,
                                     &totals.successful, &totals.failed, &totals.cancelled, &totals.expired};
    Rows rows = db_.query("select state, count(*) from jobs where state < 4 group by state union all select state, count from totals");
    while (rows.next())
        if (const auto state = rows.integer(0); state >= 0 && state < 8) *counts[state] = static_cast<std::uint64_t>(rows.integer(1));
    if (!rows.status()) return fail(rows.status().error());
    Rows open = db_.query("select state, count(*) from deliveries where state <> 1 group by state");
    while (open.next())
        (open.integer(0) == 0 ? totals.deliveries_pending : totals.deliveries_dead) = static_cast<std::uint64_t>(open.integer(1));
    if (!open.status()) return fail(open.status().error());
    return totals;
}

}  // namespace mill::factory::sqlite
