#include <fmt/format.h>

#include "factory/store/sqlite_writer.h"

namespace mill::factory::sqlite {

Status SqliteWriter::insert_delivery(const NewDelivery& d)
{
    std::optional<std::int64_t> job;
    if (d.job != 0) job = d.job;
    return db_->run("insert into deliveries(uid, job, notifier, event, final, state, created, next_try, finished, error, request) "
                    "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                    d.id, job, d.notifier, d.event, d.final, static_cast<int>(d.state), d.created, d.next_try,
                    d.state == DeliveryState::pending ? std::optional<WallTime>() : d.created, d.error, d.request);
}

Result<std::vector<DeliveryRecord>> SqliteWriter::due_deliveries(WallTime now, WallTime overtake_before, std::size_t limit)
{
    // In order per (job, notifier): behind an earlier pending one only a final state that has waited long enough.
    static const std::string sql = fmt::format(
        "select {}, exists(select 1 from deliveries e where e.job = d.job and e.id < d.id and e.notifier = d.notifier and e.state = 0) as behind "
        "from deliveries d indexed by deliveries_due left join jobs j on j.id = d.job "
        "where d.state = 0 and d.claimed = 0 and d.next_try <= ?1 and (not behind or (d.final = 1 and d.created <= ?2)) "
        "order by d.next_try, d.id limit ?3", kDeliveryColumns);
    std::vector<DeliveryRecord> out;
    std::vector<std::int64_t> ids;
    {
        Rows rows = db_->query(sql.c_str(), now, overtake_before, std::uint64_t{limit});
        while (rows.next()) {
            out.push_back(delivery_row(rows));
            out.back().overtook = out.back().overtook || rows.boolean(13);
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
    return db_->run("update deliveries set state = ?2, next_try = ?3, finished = ?4, attempts = ?5, error = ?6, overtook = ?7, claimed = 0 where uid = ?1",
                    d.id, static_cast<int>(d.state), d.next_try, d.finished, d.attempts, d.error, d.overtook);
}

Status SqliteWriter::insert_delivery_attempt(std::string_view delivery, const DeliveryAttempt& a)
{
    return db_->run("insert into delivery_attempts(delivery, number, time, request, status, response, error, took_ms) "
                    "values ((select id from deliveries where uid = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    delivery, a.number, a.time, a.request, a.status, a.response, a.error, std::int64_t{a.took.count()});
}

Result<JobKey> SqliteWriter::delivery_job(std::string_view delivery)
{
    Rows rows = db_->query("select coalesce(job, 0) from deliveries where uid = ?1", delivery);
    if (!rows.next()) return none(rows, "delivery", delivery);
    return rows.integer(0);
}

}  // namespace mill::factory::sqlite
