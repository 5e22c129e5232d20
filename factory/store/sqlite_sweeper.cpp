#include "factory/store/sqlite_sweeper.h"

#include <fmt/format.h>

#include "factory/store/sqlite_reader.h"
#include "platform/append_file.h"
#include "platform/files.h"

namespace mill::factory::sqlite {
namespace {

// Of a long log these many bytes stay in the database at either end: what people look at.
constexpr std::int64_t kLogEnds = 256 * 1024;

}  // namespace

std::string log_file_name(std::string_view job_uid, std::int64_t attempt) { return fmt::format("logs/{}.{}", job_uid, attempt); }

Result<std::vector<Sweeper::ClosedJob>> SqliteSweeper::closed_jobs(const SweepPlace& after, WallTime before, std::size_t limit)
{
    Rows rows = db_.query("select id, coalesce(closed, ended, created) as at from jobs indexed by jobs_closed where state > 3 and coalesce(closed, ended, created) >= ?1 "
                          "and coalesce(closed, ended, created) < ?3 and (coalesce(closed, ended, created) > ?1 or id > ?2) order by coalesce(closed, ended, created), id limit ?4",
                          after.time, after.id, before, std::uint64_t{limit});
    std::vector<ClosedJob> out;
    while (rows.next()) out.push_back({rows.integer(0), rows.integer(1)});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::uint64_t> SqliteSweeper::final_jobs()
{
    Rows rows = db_.query("select (select coalesce(sum(count), 0) from totals) - coalesce((select ever from removed where kind = 'jobs'), 0)");
    if (!rows.next()) return none(rows, "totals", "");
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, rows.integer(0)));
}

Status SqliteSweeper::drop_files(std::int64_t job, std::string_view kind)
{
    std::vector<std::string> found;
    {
        Rows rows = db_.query("select name from files where job = ?1", job);
        while (rows.next())
            if (rows.text(0).starts_with(kind)) found.push_back(rows.string(0));
        if (!rows.status()) return fail(rows.status().error());
    }
    for (std::string& name : found) {
        if (auto ok = db_.run("delete from files where name = ?1", name); !ok) return ok;
        files_.push_back(std::move(name));
    }
    return {};
}

/// The numbers of the feed go on where they were, also when its last lines were those of a job that is gone.
Status SqliteSweeper::keep_feed_number()
{
    return db_.run("insert into settings(key, value) select 'feed_last', cast(max(sequence) as text) from feed where true on conflict(key) do update set value = excluded.value "
                   "where cast(excluded.value as integer) > cast(value as integer)");
}

Result<bool> SqliteSweeper::remove_job(std::int64_t job)
{
    {
        Rows rows = db_.query("select j.state < 4 or j.id = (select max(id) from jobs) or exists(select 1 from deliveries d where d.job = j.id and d.state = 0) or "
                              "exists(select 1 from idempotency i where i.job = j.id) from jobs j where j.id = ?1", job);
        if (!rows.next()) return rows.status() ? Result<bool>(false) : Result<bool>(fail(rows.status().error()));
        if (rows.boolean(0)) return false;
    }
    if (auto ok = drop_files(job, ""); !ok) return fail(ok.error());
    for (const char* sql : {"delete from delivery_attempts where delivery in (select id from deliveries where job = ?1)", "delete from deliveries where job = ?1",
                            "delete from events where job = ?1", "delete from long_logs where job = ?1", "delete from inputs where job = ?1",
                            "delete from outcomes where job = ?1", "delete from attempts where job = ?1", "delete from feed where job = ?1",
                            "delete from callbacks where job = ?1",
                            "delete from jobs where id = ?1 and state > 3"})
        if (auto ok = db_.run(sql, job); !ok) return fail(ok.error());
    return true;
}

Result<bool> SqliteSweeper::remove_records(std::int64_t job, WallTime now, std::string_view why)
{
    std::int64_t attempt = 0, last = 0;
    {
        // A single row is what an earlier removal left, or so little that nothing is gained.
        Rows rows = db_.query("select attempt, last, (select count(*) from (select 1 from events where job = ?1 limit 2)) from events where job = ?1 order by attempt desc, first desc limit 1", job);
        if (!rows.next()) return rows.status() ? Result<bool>(false) : Result<bool>(fail(rows.status().error()));
        attempt = rows.integer(0);
        last = rows.integer(1);
    }
    {
        Rows rows = db_.query("select 1 from events where job = ?1 and kinds = 4", job);
        if (rows.next()) return false;
    }
    if (auto ok = drop_files(job, "logs/"); !ok) return fail(ok.error());
    if (auto ok = db_.run("delete from long_logs where job = ?1", job); !ok) return fail(ok.error());
    if (auto ok = db_.run("delete from events where job = ?1", job); !ok) return fail(ok.error());
    const protocol::Event line{static_cast<std::uint64_t>(last), now, protocol::EventKind::gap, Json::object({{"kind", "removed"}, {"why", why}})};
    if (auto ok = db_.run("insert into events(job, attempt, first, last, kinds, stale, lines) values (?1, ?2, ?3, ?3, ?4, 0, ?5)", job, attempt, last,
                          static_cast<std::int64_t>(kStepBit | kLogBit | kRemovedBit), Blob{event_line(line)});
        !ok)
        return fail(ok.error());
    return true;
}

Result<Swept> SqliteSweeper::swept(Status ok, std::size_t limit)
{
    if (!ok) return fail(ok.error());
    const auto rows = static_cast<std::uint64_t>(db_.changes());
    return Swept{rows, rows >= limit};
}

Result<Swept> SqliteSweeper::remove_deliveries(SweepPlace& place, WallTime before, std::size_t limit)
{
    Swept out;
    std::vector<std::int64_t> found;
    {
        Rows rows = db_.query("select id, state, created from deliveries where id > ?1 and id < (select max(id) from deliveries) order by id limit ?2", place.id, std::uint64_t{limit});
        while (rows.next()) {
            if (rows.time(2) >= before) return out;   // the later ones are younger
            place.id = rows.integer(0);
            if (rows.integer(1) != 0) found.push_back(place.id);
            out.more = true;
        }
        if (!rows.status()) return fail(rows.status().error());
    }
    for (const std::int64_t id : found) {
        if (auto ok = db_.run("delete from delivery_attempts where delivery = ?1", id); !ok) return fail(ok.error());
        if (auto ok = db_.run("delete from deliveries where id = ?1 and state <> 0", id); !ok) return fail(ok.error());
    }
    out.rows = found.size();
    return out;
}

Result<Swept> SqliteSweeper::remove_feed(SweepPlace& place, WallTime before, std::size_t limit)
{
    Swept out;
    std::vector<std::int64_t> found;
    {
        Rows rows = db_.query("select sequence, job is null, time from feed where sequence > ?1 and sequence < (select max(sequence) from feed) order by sequence limit ?2", place.id,
                              std::uint64_t{limit});
        while (rows.next()) {
            if (rows.boolean(1) && rows.time(2) >= before) {
                out.more = false;
                break;
            }
            place.id = rows.integer(0);
            if (rows.boolean(1)) found.push_back(place.id);
            out.more = true;
        }
        if (!rows.status()) return fail(rows.status().error());
    }
    for (const std::int64_t sequence : found)
        if (auto ok = db_.run("delete from feed where sequence = ?1 and job is null", sequence); !ok) return fail(ok.error());
    out.rows = found.size();
    return out;
}

Result<Swept> SqliteSweeper::remove_audit(WallTime before, std::size_t limit)
{
    // From the beginning without a hole, and the chain goes on from the hash of the last that goes (audit.cpp).
    static const std::string kGoing = "select id from audit where id < coalesce((select min(id) from (select id, time from audit order by id limit ?2) where time >= ?1), "
                                      "(select max(id) from audit)) order by id limit ?2";
    static const std::string kAnchor = fmt::format("insert into settings(key, value) select 'audit_anchor', id || ':' || lower(hex(hash)) from audit where id = (select max(id) from ({})) "
                                                   "on conflict(key) do update set value = excluded.value", kGoing);
    static const std::string kDelete = fmt::format("delete from audit where id in ({})", kGoing);
    if (auto ok = db_.run(kAnchor.c_str(), before, std::uint64_t{limit}); !ok) return fail(ok.error());
    return swept(db_.run(kDelete.c_str(), before, std::uint64_t{limit}), limit);
}

Result<Swept> SqliteSweeper::remove_keys(WallTime before, std::size_t limit)
{
    return swept(db_.run("delete from idempotency where (scope, key) in (select scope, key from idempotency where created < ?1 order by created limit ?2)", before, std::uint64_t{limit}), limit);
}

Result<Swept> SqliteSweeper::remove_minutes(WallTime before, std::size_t limit)
{
    auto jobs = swept(db_.run("delete from job_minutes where (time, binding, state, reason) in (select time, binding, state, reason from job_minutes where time < ?1 order by time limit ?2)",
                              before, std::uint64_t{limit}), limit);
    if (!jobs || jobs->more) return jobs;
    auto deliveries = swept(db_.run("delete from delivery_minutes where (time, notifier, outcome) in (select time, notifier, outcome from delivery_minutes where time < ?1 order by time limit ?2)",
                                    before, std::uint64_t{limit}), limit);
    if (!deliveries || deliveries->more) return deliveries;
    // One series after the other, in the order of its key.
    auto points = swept(db_.run("delete from points where (series, time) in (select p.series, p.time from series s join points p on p.series = s.id and p.time < ?1 limit ?2)", before,
                                std::uint64_t{limit}), limit);
    if (!points || points->more) return points;
    if (auto ok = db_.run("delete from series where last < ?1", before); !ok) return fail(ok.error());
    return Swept{jobs->rows + deliveries->rows + points->rows, false};
}

Result<bool> SqliteSweeper::move_log(std::size_t bytes)
{
    std::int64_t job = 0, attempt = 0;
    std::string name;
    {
        Rows rows = db_.query("select l.job, l.attempt, j.uid from long_logs l join jobs j on j.id = l.job limit 1");
        if (!rows.next()) return rows.status() ? Result<bool>(false) : Result<bool>(fail(rows.status().error()));
        job = rows.integer(0);
        attempt = rows.integer(1);
        name = log_file_name(rows.text(2), attempt);
    }
    struct Row { std::int64_t id, first_byte, size; bool moved; };
    std::vector<Row> all;
    std::int64_t total = 0, end = 0;
    {
        Rows rows = db_.query("select id, case when at is null then length(lines) else size end, at from events where job = ?1 and attempt = ?2 and stale = 0 order by first, id", job, attempt);
        while (rows.next()) {
            all.push_back({rows.integer(0), total, rows.integer(1), !rows.null(2)});
            total += all.back().size;
            if (!rows.null(2)) end = std::max(end, rows.integer(2) + rows.integer(1));
        }
        if (!rows.status()) return fail(rows.status().error());
    }
    if (auto ok = platform::make_folder(folder_ + "/logs", 0700); !ok) return fail(ok.error());
    const std::string path = fmt::format("{}/{}", folder_, name);
    const bool fresh = !platform::exists(path);
    if (fresh)   // write_file syncs the folder
        if (auto ok = platform::write_file(path, "", 0600); !ok) return fail(ok.error());
    auto file = platform::AppendFile::open(path);
    if (!file) return fail(std::move(file.error()));
    // What lies behind is of a process that ended between file and rows.
    if (file->size() > static_cast<std::uint64_t>(end))
        if (auto ok = file->truncate(static_cast<std::uint64_t>(end)); !ok) return fail(ok.error());
    std::vector<std::pair<std::int64_t, std::int64_t>> moved;   // row, where
    std::int64_t at = end;
    bool left = false;
    for (const Row& row : all) {
        if (row.moved || row.first_byte < kLogEnds || row.first_byte + row.size > total - kLogEnds) continue;
        if (at - end >= static_cast<std::int64_t>(bytes)) {
            left = true;
            break;
        }
        Rows lines = db_.query("select lines from events where id = ?1", row.id);
        if (!lines.next()) return fail(Errc::corrupt, "store: a row of a log is gone");
        if (auto ok = file->append(lines.text(0)); !ok) return fail(ok.error());
        moved.emplace_back(row.id, at);
        at += row.size;
    }
    if (auto ok = file->sync(); !ok) return fail(ok.error());
    for (const auto& [row, where] : moved)
        if (auto ok = db_.run("update events set at = ?2, size = length(lines), lines = x'' where id = ?1", row, where); !ok) return fail(ok.error());
    if (auto ok = db_.run("insert into files(name, job, size) values (?1, ?2, ?3) on conflict(name) do update set size = ?3", name, job, at); !ok) return fail(ok.error());
    if (!left)
        if (auto ok = db_.run("delete from long_logs where job = ?1 and attempt = ?2", job, attempt); !ok) return fail(ok.error());
    return true;
}

Result<bool> SqliteSweeper::is_named(std::string_view file)
{
    Rows rows = db_.query("select 1 from files where name = ?1", file);
    const bool found = rows.next();
    if (!rows.status()) return fail(rows.status().error());
    return found;
}

Result<Sweeper::Space> SqliteSweeper::space()
{
    Rows rows = db_.query("select f.freelist_count, p.page_count, s.page_size from pragma_freelist_count f, pragma_page_count p, pragma_page_size s");
    if (!rows.next()) return none(rows, "pages", "");
    return Space{static_cast<std::uint64_t>(rows.integer(0)), static_cast<std::uint64_t>(rows.integer(1)), static_cast<std::uint64_t>(rows.integer(2))};
}

Status SqliteSweeper::give_back(std::size_t limit)
{
    return db_.script(fmt::format("pragma incremental_vacuum({})", limit).c_str());
}

Result<Sweeper::Older> SqliteSweeper::older(WallTime jobs, WallTime deliveries, WallTime audit, std::uint64_t most)
{
    Rows rows = db_.query("select (select count(*) from (select 1 from jobs indexed by jobs_closed where state > 3 and coalesce(closed, ended, created) < ?1 limit ?4)), "
                          "(select count(*) from (select 1 from (select id, state, created from deliveries order by id limit ?4) where created < ?2 and state <> 0)), "
                          "(select count(*) from (select 1 from (select time from audit order by id limit ?4) where time < ?3))", jobs, deliveries, audit, most);
    if (!rows.next()) return none(rows, "age", "");
    return Older{static_cast<std::uint64_t>(rows.integer(0)), static_cast<std::uint64_t>(rows.integer(1)), static_cast<std::uint64_t>(rows.integer(2))};
}

Status SqliteSweeper::count(std::string_view kind, std::uint64_t rows)
{
    if (rows == 0) return {};
    if (auto ok = keep_feed_number(); !ok) return ok;
    return db_.run("insert into removed(kind, ever, run) values (?1, ?2, ?2) on conflict(kind) do update set ever = ever + ?2, run = run + ?2", kind, rows);
}

Result<std::vector<RemovedCount>> SqliteSweeper::counts()
{
    Rows rows = db_.query("select kind, ever, run from removed order by kind");
    std::vector<RemovedCount> out;
    while (rows.next()) out.push_back({rows.string(0), static_cast<std::uint64_t>(rows.integer(1)), static_cast<std::uint64_t>(rows.integer(2))});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Status SqliteSweeper::end_run() { return db_.run("update removed set run = 0"); }

}  // namespace mill::factory::sqlite
