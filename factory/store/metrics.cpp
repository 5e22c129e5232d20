// Figures: counted with what they count, in the same transaction; and points that others publish.
#include <fmt/format.h>

#include "factory/store/sqlite_writer.h"

namespace mill::factory::sqlite {
namespace {

constexpr std::int64_t kMinute = 60'000'000;

MetricSpan span_row(const Rows& rows, int column)
{
    const auto seconds = [&](int at) { return static_cast<double>(rows.integer(at)) / 1e6; };
    return {seconds(column), seconds(column + 1), seconds(column + 2)};
}

constexpr const char* kOutcomes[] = {"delivered", "failed", "dead"};

}  // namespace

Status SqliteWriter::count_job(const EndedJob& job)
{
    const std::int64_t delay = job.delay ? std::max<std::int64_t>(0, job.delay->count()) : 0, run = job.run ? std::max<std::int64_t>(0, job.run->count()) : 0;
    // One that never was with an agent has no times: it must not be the shortest.
    if (!job.delay)
        return db_->run("insert into job_minutes(time, binding, state, reason, jobs, started, delay_sum, delay_min, delay_max, run_sum, run_min, run_max) "
                        "values (?1, ?2, ?3, ?4, 1, 0, 0, 0, 0, 0, 0, 0) on conflict(time, binding, state, reason) do update set jobs = jobs + 1",
                        job.time.microseconds / kMinute * kMinute, job.binding, static_cast<int>(job.state), static_cast<int>(job.reason));
    return db_->run("insert into job_minutes(time, binding, state, reason, jobs, started, delay_sum, delay_min, delay_max, run_sum, run_min, run_max) "
                    "values (?1, ?2, ?3, ?4, 1, 1, ?5, ?5, ?5, ?6, ?6, ?6) on conflict(time, binding, state, reason) do update set jobs = jobs + 1, "
                    "delay_sum = delay_sum + ?5, delay_min = case when started = 0 then ?5 else min(delay_min, ?5) end, delay_max = max(delay_max, ?5), "
                    "run_sum = run_sum + ?6, run_min = case when started = 0 then ?6 else min(run_min, ?6) end, run_max = max(run_max, ?6), started = started + 1",
                    job.time.microseconds / kMinute * kMinute, job.binding, static_cast<int>(job.state), static_cast<int>(job.reason), delay, run);
}

Status SqliteWriter::count_delivery(WallTime time, std::string_view notifier, std::string_view outcome)
{
    int number = 0;
    while (number < 2 && outcome != kOutcomes[number]) ++number;
    return db_->run("insert into delivery_minutes(time, notifier, outcome, deliveries) values (?1, ?2, ?3, 1) "
                    "on conflict(time, notifier, outcome) do update set deliveries = deliveries + 1", time.microseconds / kMinute * kMinute, notifier, number);
}

Status SqliteWriter::publish(const MetricPoint& point, WallTime now)
{
    const std::string dimensions = dump_json(point.dimensions);
    std::int64_t series = 0;
    {
        Rows known = db_->query("select id, unit from series where name = ?1 order by dimensions <> ?2 limit 1", point.name, dimensions);
        if (known.next() && known.text(1) != point.unit)
            return fail(Errc::conflict, fmt::format("metric '{}' has the unit '{}', not '{}'", point.name, known.text(1), point.unit));
        if (!known.status()) return known.status();
    }
    {
        Rows known = db_->query("select id from series where name = ?1 and dimensions = ?2", point.name, dimensions);
        if (known.next()) series = known.integer(0);
        if (!known.status()) return known.status();
    }
    if (series == 0) {
        Rows count = db_->query("select (select count(*) from series), (select count(*) from series where name = ?1), (select count(distinct name) from series)", point.name);
        if (!count.next()) return fail(count.status().error());
        const auto full = [&](std::size_t most, const char* what) {
            return fail(Errc::too_large, fmt::format("metric '{}' would be one more than the {} {} that are kept: publish fewer values of dimensions, or wait until old ones go "
                                                     "(retention: metrics)", point.name, most, what));
        };
        if (count.integer(0) >= static_cast<std::int64_t>(kMetricSeries)) return full(kMetricSeries, "series");
        if (count.integer(1) >= static_cast<std::int64_t>(kSeriesOfName)) return full(kSeriesOfName, "series of one name");
        if (count.integer(1) == 0 && count.integer(2) >= static_cast<std::int64_t>(kMetricNames)) return full(kMetricNames, "names");
        if (auto ok = db_->run("insert into series(name, unit, dimensions, created, last) values (?1, ?2, ?3, ?4, ?5)", point.name, point.unit, dimensions, now, point.time); !ok) return ok;
        series = db_->last_id();
    }
    // The same time again: the sender corrects itself, or says it twice because it got no answer.
    if (auto ok = db_->run("insert into points(series, time, value) values (?1, ?2, ?3) on conflict(series, time) do update set value = ?3", series, point.time, point.value); !ok) return ok;
    return db_->run("update series set last = max(last, ?2) where id = ?1", series, point.time);
}

Result<std::vector<JobMinute>> SqliteReader::job_minutes(WallTime since, WallTime until, std::size_t most)
{
    Rows rows = db_.query("select time, binding, state, reason, jobs, started, delay_sum, delay_min, delay_max, run_sum, run_min, run_max from job_minutes "
                          "where time >= ?1 and time < ?2 order by time limit ?3", since, until, std::uint64_t{most});
    std::vector<JobMinute> out;
    while (rows.next()) {
        const auto binding = known_binding(rows.integer(1));
        out.push_back({.time = rows.time(0), .trigger = binding->trigger, .deployment = binding->deployment, .environment = binding->environment,
                       .package = binding->package_name, .version = binding->package_version,
                       .state = std::string(protocol::name(static_cast<protocol::JobState>(rows.integer(2)))),
                       .reason = std::string(protocol::name(static_cast<protocol::Reason>(rows.integer(3)))), .jobs = static_cast<std::uint64_t>(rows.integer(4)),
                       .started = static_cast<std::uint64_t>(rows.integer(5)), .delay = span_row(rows, 6), .run = span_row(rows, 9)});
    }
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::vector<DeliveryMinute>> SqliteReader::delivery_minutes(WallTime since, WallTime until, std::size_t most)
{
    Rows rows = db_.query("select time, notifier, outcome, deliveries from delivery_minutes where time >= ?1 and time < ?2 order by time limit ?3", since, until, std::uint64_t{most});
    std::vector<DeliveryMinute> out;
    while (rows.next())
        out.push_back({rows.time(0), rows.string(1), kOutcomes[std::min<std::int64_t>(2, rows.integer(2))], static_cast<std::uint64_t>(rows.integer(3))});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::vector<PublishedSeries>> SqliteReader::published(std::string_view metric)
{
    Rows rows = db_.query("select s.id, s.name, s.unit, s.dimensions, s.last, coalesce((select value from points p where p.series = s.id and p.time = s.last), 0) "
                          "from series s where ?1 = '' or s.name = ?1 order by s.name, s.dimensions", metric);
    std::vector<PublishedSeries> out;
    while (rows.next())
        out.push_back({.id = rows.integer(0), .name = rows.string(1), .unit = rows.string(2), .dimensions = rows.json(3), .last = rows.time(4), .value = rows.number(5)});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::vector<PublishedPoint>> SqliteReader::points(std::int64_t series, WallTime since, WallTime until, std::size_t most)
{
    Rows rows = db_.query("select time, value from points where series = ?1 and time >= ?2 and time < ?3 order by time limit ?4", series, since, until, std::uint64_t{most});
    std::vector<PublishedPoint> out;
    while (rows.next()) out.push_back({rows.time(0), rows.number(1)});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

}  // namespace mill::factory::sqlite
