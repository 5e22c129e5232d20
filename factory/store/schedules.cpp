// What came of the times at which schedules were to fire: read and written.
#include "factory/store/sqlite_reader.h"
#include "factory/store/sqlite_writer.h"

namespace mill::factory {

std::string_view name(FiringOutcome outcome)
{
    switch (outcome) {
    case FiringOutcome::started: return "started";
    case FiringOutcome::waiting: return "waiting";
    case FiringOutcome::skipped: return "skipped";
    case FiringOutcome::missed: return "missed";
    case FiringOutcome::failed: return "failed";
    }
    return "?";
}

namespace sqlite {
namespace {

FiringRecord firing_row(const Rows& row)
{
    return {.due = row.time(0), .at = row.time(1), .outcome = static_cast<FiringOutcome>(row.integer(2)), .job = row.string(3), .why = row.string(4),
            .decided = row.time(5), .times = static_cast<std::uint64_t>(row.integer(6))};
}

Result<std::vector<FiringRecord>> all_firings(Rows rows)
{
    std::vector<FiringRecord> out;
    while (rows.next()) out.push_back(firing_row(rows));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

}  // namespace

Result<std::vector<FiringRecord>> SqliteReader::firings(std::string_view trigger, std::int64_t before, std::size_t limit)
{
    return all_firings(db_.query("select due, at, outcome, job, why, decided, times from firings where trigger = ?1 and (?2 = 0 or due < ?2) order by due desc limit ?3",
                                 trigger, before, std::uint64_t{limit}));
}

Result<std::optional<Writer::KeptSchedule>> SqliteWriter::schedule(std::string_view trigger)
{
    Rows rows = db_->query("select rule, considered from schedules where trigger = ?1", trigger);
    if (rows.next()) return KeptSchedule{rows.string(0), rows.time(1)};
    if (!rows.status()) return fail(rows.status().error());
    return std::optional<KeptSchedule>();
}

Status SqliteWriter::put_schedule(std::string_view trigger, const KeptSchedule& schedule)
{
    return db_->run("insert into schedules(trigger, rule, considered) values (?1, ?2, ?3) on conflict(trigger) do update set rule = ?2, considered = ?3", trigger,
                    schedule.rule, schedule.considered);
}

Status SqliteWriter::delete_schedule(std::string_view trigger)
{
    if (auto ok = db_->run("delete from firings where trigger = ?1", trigger); !ok) return ok;
    return db_->run("delete from schedules where trigger = ?1", trigger);
}

Status SqliteWriter::put_firing(std::string_view trigger, const FiringRecord& firing)
{
    auto ok = db_->run("insert into firings(trigger, due, at, outcome, job, why, decided, times) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
                       "on conflict(trigger, due) do update set outcome = ?4, job = ?5, why = ?6, decided = ?7, times = ?8",
                       trigger, firing.due, firing.at, static_cast<int>(firing.outcome), firing.job, firing.why, firing.decided, firing.times);
    if (!ok) return ok;
    return db_->run("delete from firings where trigger = ?1 and outcome <> 1 and due <= (select due from firings where trigger = ?1 order by due desc limit 1 offset ?2)", trigger,
                    std::uint64_t{kFirings});
}

Result<std::vector<FiringRecord>> SqliteWriter::waiting_firings(std::string_view trigger)
{
    return all_firings(db_->query("select due, at, outcome, job, why, decided, times from firings where trigger = ?1 and outcome = 1 order by due", trigger));
}

Result<std::vector<std::string>> SqliteWriter::open_firings(std::string_view trigger)
{
    Rows rows = db_->query("select f.job from firings f join jobs j on j.uid = f.job where f.trigger = ?1 and j.state < 4 order by f.due", trigger);
    std::vector<std::string> out;
    while (rows.next()) out.push_back(rows.string(0));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

}  // namespace sqlite
}  // namespace mill::factory
