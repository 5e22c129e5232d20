#include <fmt/format.h>

#include "factory/store/sqlite_writer.h"

namespace mill::factory::sqlite {
namespace {

// An earlier pending one of the same notifier about the same job, or the same agent.
constexpr std::string_view kBehind =
    "case when d.job is not null then exists(select 1 from deliveries e indexed by deliveries_job where e.job = d.job and e.id < d.id and e.notifier = d.notifier and e.state = 0) "
    "when d.subject <> '' then exists(select 1 from deliveries e indexed by deliveries_behind where e.notifier = d.notifier and e.state = 0 and e.id < d.id "
    "and e.job is null and e.subject = d.subject) else 0 end";

}  // namespace

Status SqliteWriter::insert_delivery(const NewDelivery& d)
{
    std::optional<std::int64_t> job;
    if (d.job != 0) job = d.job;
    return db_->run("insert into deliveries(uid, job, notifier, event, final, state, created, next_try, finished, error, request, subject, claimed) "
                    "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                    d.id, job, d.notifier, d.event, d.final, static_cast<int>(d.state), d.created, d.next_try,
                    d.state == DeliveryState::pending ? std::optional<WallTime>() : d.created, d.error, d.request, d.subject, d.held ? 2 : 0);
}

Result<std::vector<DeliveryRecord>> SqliteWriter::due_deliveries(WallTime now, WallTime overtake_before, std::size_t limit)
{
    // In order per (job, notifier): behind an earlier pending one only a final state that has waited long enough.
    static const std::string sql = fmt::format(
        "select {}, {} as behind "
        "from deliveries d indexed by deliveries_due left join jobs j on j.id = d.job "
        "where d.state = 0 and d.claimed = 0 and d.next_try <= ?1 and (not behind or (d.final = 1 and d.created <= ?2)) "
        "order by d.next_try, d.id limit ?3", kDeliveryColumns, kBehind);
    std::vector<DeliveryRecord> out;
    std::vector<std::int64_t> ids;
    {
        Rows rows = db_->query(sql.c_str(), now, overtake_before, std::uint64_t{limit});
        while (rows.next()) {
            out.push_back(delivery_row(rows));
            out.back().overtook = out.back().overtook || rows.boolean(15);
            ids.push_back(rows.integer(0));
        }
        if (!rows.status()) return fail(rows.status().error());
    }
    for (const std::int64_t id : ids)
        if (auto ok = db_->run("update deliveries set claimed = 1 where id = ?1", id); !ok) return fail(ok.error());
    return out;
}

Result<std::optional<WallTime>> SqliteWriter::next_delivery()
{
    Rows rows = db_->query("select min(next_try) from deliveries where state = 0 and claimed = 0");
    if (!rows.next()) return none(rows, "delivery", "next");
    return rows.optional_time(0);
}

Status SqliteWriter::change_delivery(const DeliveryRecord& d)
{
    return db_->run("update deliveries set state = ?2, next_try = ?3, finished = ?4, attempts = ?5, error = ?6, overtook = ?7, claimed = ?8 where uid = ?1",
                    d.id, static_cast<int>(d.state), d.next_try, d.finished, d.attempts, d.error, d.overtook, d.held ? 2 : 0);
}

Status SqliteWriter::insert_delivery_attempt(std::string_view delivery, const DeliveryAttempt& a)
{
    return db_->run("insert into delivery_attempts(delivery, number, time, request, status, response, error, took_ms) "
                    "values ((select id from deliveries where uid = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    delivery, a.number, a.time, a.request, a.status, a.response, a.error, std::int64_t{a.took.count()});
}

Status SqliteWriter::set_delivery_request(std::string_view delivery, const Json& request)
{
    return db_->run("update deliveries set request = ?2 where uid = ?1", delivery, request);
}

Status SqliteWriter::set_delivery_kept(std::string_view delivery, const Json& kept) { return db_->run("update deliveries set kept = ?2 where uid = ?1", delivery, kept); }

Status SqliteWriter::remove_delivery(std::string_view delivery) { return db_->run("delete from deliveries where uid = ?1 and attempts = 0", delivery); }

Status SqliteWriter::put_callback(JobKey job, const Json& spec) { return db_->run("insert into callbacks(job, spec) values (?1, ?2)", job, spec); }

Result<Json> SqliteWriter::callback(JobKey job)
{
    Rows rows = db_->query("select spec from callbacks where job = ?1", job);
    if (rows.next()) return rows.json(0);
    if (!rows.status()) return fail(rows.status().error());
    return Json();
}

Result<JobKey> SqliteWriter::delivery_job(std::string_view delivery)
{
    Rows rows = db_->query("select coalesce(job, 0) from deliveries where uid = ?1", delivery);
    if (!rows.next()) return none(rows, "delivery", delivery);
    return rows.integer(0);
}

Status SqliteWriter::put_notifier_state(const NotifierState& s)
{
    return db_->run("insert into notifier_states(notifier, failures, held_since, next_probe, probes, why) values (?1, ?2, ?3, ?4, ?5, ?6) "
                    "on conflict(notifier) do update set failures = ?2, held_since = ?3, next_probe = ?4, probes = ?5, why = ?6",
                    s.notifier, s.failures, s.held_since, s.next_probe, s.probes, s.why);
}

Status SqliteWriter::hold_deliveries(std::string_view notifier)
{
    return db_->run("update deliveries set claimed = 2 where notifier = ?1 and state = 0 and claimed = 0", notifier);
}

Status SqliteWriter::release_deliveries(std::string_view notifier, WallTime now)
{
    return db_->run("update deliveries set claimed = 0, next_try = min(next_try, ?2) where notifier = ?1 and state = 0 and claimed = 2", notifier, now);
}

Result<std::optional<DeliveryRecord>> SqliteWriter::probe_delivery(std::string_view notifier)
{
    // Not the same one each time: it may be the one that its receiver cannot take.
    static const std::string sql = fmt::format("select {}, {} as behind from deliveries d indexed by deliveries_pending left join jobs j on j.id = d.job "
                                               "where d.notifier = ?1 and d.state = 0 and d.claimed = 2 and not behind order by d.next_try, d.id limit 1",
                                               kDeliveryColumns, kBehind);
    std::optional<DeliveryRecord> out;
    std::int64_t id = 0;
    {
        Rows rows = db_->query(sql.c_str(), notifier);
        if (!rows.next()) {
            if (!rows.status()) return fail(rows.status().error());
            return out;
        }
        out = delivery_row(rows);
        id = rows.integer(0);
    }
    if (auto ok = db_->run("update deliveries set claimed = 1 where id = ?1", id); !ok) return fail(ok.error());
    return out;
}

Result<std::vector<Writer::WaitingSince>> SqliteWriter::waiting_since()
{
    Rows rows = db_->query("select j.id, j.binding, j.attempt, case when j.attempt = 0 then j.created else "
                           "coalesce((select max(f.time) from feed f where f.job = j.id and f.what = 'ready'), j.created) end "
                           "from jobs j where j.state < 4 and j.state = 0 order by j.id");
    std::vector<WaitingSince> out;
    while (rows.next()) out.push_back({rows.integer(0), rows.integer(1), static_cast<std::uint32_t>(rows.integer(2)), rows.time(3)});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

}  // namespace mill::factory::sqlite
