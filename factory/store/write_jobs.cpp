#include <algorithm>

#include <fmt/format.h>

#include "factory/store/sqlite_writer.h"

namespace mill::factory::sqlite {

using protocol::JobState;

Result<std::int64_t> SqliteWriter::name_id(std::string_view name)
{
    if (auto ok = db_->run("insert into names(name) values (?1) on conflict(name) do nothing", name); !ok) return fail(ok.error());
    Rows rows = db_->query("select id from names where name = ?1", name);
    if (!rows.next()) return none(rows, "name", name);
    return rows.integer(0);
}

Result<std::int64_t> SqliteWriter::put_binding(const Binding& b)
{
    {
        Rows known = db_->query("select id from bindings where key = ?1", b.key);
        if (known.next()) return known.integer(0);
        if (!known.status()) return fail(known.status().error());
    }
    const auto trigger = name_id(b.trigger);
    if (!trigger) return fail(trigger.error());
    const Json spec = Json::object({{"variables", b.variables}, {"credentials", b.credentials}, {"permissions", b.permissions}, {"rules", b.rules}});
    if (auto ok = db_->run("insert into bindings(key, trigger_id, deployment, environment, workflow, package_name, package_version, package_digest, "
                           "repeatable, spec) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                           b.key, *trigger, b.deployment, b.environment, b.workflow, b.package_name, b.package_version, b.package_digest,
                           b.repeatable, spec);
        !ok)
        return fail(ok.error());
    return db_->last_id();
}

Result<std::int64_t> SqliteWriter::binding_id(std::string_view key)
{
    Rows rows = db_->query("select id from bindings where key = ?1", key);
    if (!rows.next()) return none(rows, "binding", std::string(key));
    return rows.integer(0);
}

Result<std::vector<std::pair<std::int64_t, std::size_t>>> SqliteWriter::ready_counts()
{
    // Those that nobody approved yet are on no board, here and below.
    Rows rows = db_->query("select binding, count(*) from jobs indexed by jobs_ready where state = 0 and id not in (select job from questions where state = 0 and attempt = 0) group by binding");
    std::vector<std::pair<std::int64_t, std::size_t>> out;
    while (rows.next()) out.emplace_back(rows.integer(0), static_cast<std::size_t>(rows.integer(1)));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::vector<std::pair<JobKey, std::int64_t>>> SqliteWriter::first_ready(std::int64_t binding, std::size_t limit)
{
    Rows rows = db_->query("select id, turn from jobs indexed by jobs_ready where state = 0 and binding = ?1 and id not in (select job from questions where state = 0 and attempt = 0) "
                           "order by turn, id limit ?2", binding,
                           std::uint64_t{limit});
    std::vector<std::pair<JobKey, std::int64_t>> out;
    while (rows.next()) out.emplace_back(rows.integer(0), rows.integer(1));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::size_t> SqliteWriter::ready_before(JobKey job, std::int64_t binding, std::int64_t turn, std::size_t most)
{
    Rows rows = db_->query("select (select count(*) from (select 1 from jobs indexed by jobs_ready where state = 0 and binding = ?1 and turn < ?2 limit ?4)) + "
                           "(select count(*) from (select 1 from jobs indexed by jobs_ready where state = 0 and binding = ?1 and turn = ?2 and id < ?3 limit ?4))",
                           binding, turn, job, std::uint64_t{most});
    if (!rows.next()) return none(rows, "job", std::to_string(job));
    return std::min(most, static_cast<std::size_t>(rows.integer(0)));
}

Status SqliteWriter::count_turns(const std::function<std::int64_t(int, WallTime)>& turn)
{
    std::vector<std::pair<JobKey, std::int64_t>> turns;
    Rows rows = db_->query("select id, priority, created from jobs where state < 4");
    while (rows.next()) turns.emplace_back(rows.integer(0), turn(static_cast<int>(rows.integer(1)), rows.time(2)));
    if (!rows.status()) return rows.status();
    for (const auto& [job, value] : turns)
        if (auto ok = db_->run("update jobs set turn = ?2 where id = ?1", job, value); !ok) return ok;
    return {};
}

Result<std::vector<ActiveAttempt>> SqliteWriter::load_active()
{
    Rows rows = db_->query("select j.id, j.uid, j.binding, j.priority, j.state, t.attempt, t.agent, t.acknowledged, t.bytes, t.lost_steps, t.lost_logs, "
                           "t.token, j.cancel_by, j.cancel_why, j.cancel_at, j.created, j.assigned, j.started, t.epoch "
                           "from jobs j join attempts t on t.job = j.id and t.attempt = j.attempt where j.state < 4 and j.state > 0 order by j.id");
    std::vector<ActiveAttempt> out;
    while (rows.next()) {
        ActiveAttempt a{.job = rows.integer(0), .uid = rows.string(1), .binding = rows.integer(2), .priority = static_cast<int>(rows.integer(3)),
                        .state = static_cast<JobState>(rows.integer(4)), .attempt = static_cast<std::uint32_t>(rows.integer(5)),
                        .epoch = static_cast<std::uint64_t>(rows.integer(18)), .agent = rows.integer(6), .acknowledged = static_cast<std::uint64_t>(rows.integer(7)),
                        .bytes = static_cast<std::uint64_t>(rows.integer(8)), .lost_steps = static_cast<std::uint64_t>(rows.integer(9)),
                        .lost_logs = static_cast<std::uint64_t>(rows.integer(10)), .token = rows.string(11), .cancel = {},
                        .created = rows.time(15), .assigned = rows.optional_time(16), .started = rows.optional_time(17)};
        if (!rows.null(14)) a.cancel = CancelRequest{rows.string(12), rows.string(13), rows.time(14)};
        out.push_back(std::move(a));
    }
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<JobKey> SqliteWriter::insert_job(const NewJob& job)
{
    std::int64_t& trigger = trigger_of_[job.binding];
    if (trigger == 0) {
        Rows rows = db_->query("select trigger_id from bindings where id = ?1", job.binding);
        if (!rows.next()) return none(rows, "binding", std::to_string(job.binding));
        trigger = rows.integer(0);
    }
    if (auto ok = db_->run("insert into jobs(uid, binding, trigger_id, state, priority, created, expires, requested_by, retry_of, turn) "
                           "values (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9)",
                           job.uid, job.binding, trigger, job.priority, job.created, job.expires, job.requested_by, job.retry_of, job.turn);
        !ok)
        return fail(ok.error());
    const JobKey key = db_->last_id();
    const auto keep = [&](const std::string& text) -> Result<std::optional<std::string>> {
        if (text.empty()) return std::optional<std::string>();
        auto kept = values_.keep(key, text);
        if (!kept) return fail(kept.error());
        return std::optional(std::move(*kept));
    };
    const auto input = keep(job.input);
    if (!input) return fail(input.error());
    const auto context = keep(job.context);
    if (!context) return fail(context.error());
    if (auto ok = db_->run("insert into inputs(job, input, context) values (?1, ?2, ?3)", key, *input, *context); !ok) return fail(ok.error());
    return key;
}

Result<WaitingJob> SqliteWriter::waiting_job(JobKey job)
{
    Rows rows = db_->query("select j.uid, j.binding, j.priority, j.attempt, j.created, i.input from jobs j left join inputs i on i.job = j.id "
                           "where j.id = ?1", job);
    if (!rows.next()) return none(rows, "job", std::to_string(job));
    auto input = whole_text(folder_, rows.text(5));
    if (!input) return fail(fmt::format("job {}", rows.text(0)), input.error());
    return WaitingJob{.uid = rows.string(0), .binding = rows.integer(1), .priority = static_cast<int>(rows.integer(2)),
                      .attempt = static_cast<std::uint32_t>(rows.integer(3)), .created = rows.time(4), .input = std::move(*input)};
}

Result<std::int64_t> SqliteWriter::job_binding(JobKey job)
{
    Rows rows = db_->query("select binding from jobs where id = ?1", job);
    if (!rows.next()) return none(rows, "job", std::to_string(job));
    return rows.integer(0);
}

Status SqliteWriter::change_job(const JobChange& c)
{
    std::optional<std::int64_t> reason;
    if (c.reason) reason = static_cast<std::int64_t>(*c.reason);
    // The condition is the promise that a final state never changes.
    if (auto ok = db_->run("update jobs set state = ?2, reason = ?3, started = coalesce(?4, started), ended = coalesce(?5, ended), "
                           "closed = ?6 where id = ?1 and state < 4", c.job, static_cast<int>(c.state), reason, c.started, c.ended, c.closed);
        !ok)
        return ok;
    if (db_->changes() != 1) return fail(Errc::internal, fmt::format("job {} was final already", c.job));
    if (protocol::is_final(c.state)) ++ended_[static_cast<std::size_t>(c.state) - 4];
    return {};
}

Result<std::uint64_t> SqliteWriter::rebind_ready(std::int64_t from, std::int64_t to)
{
    if (auto ok = db_->run("update jobs set binding = ?2 where state = 0 and binding = ?1", from, to); !ok) return fail(ok.error());
    return static_cast<std::uint64_t>(db_->changes());
}

Status SqliteWriter::cancel_job(JobKey job, const CancelRequest& r)
{
    return db_->run("update jobs set cancel_by = ?2, cancel_why = ?3, cancel_at = ?4 where id = ?1", job, r.by, r.why, r.time);
}

Status SqliteWriter::retried_job(JobKey job, std::string_view by) { return db_->run("update jobs set retried_by = ?2 where id = ?1", job, by); }

Status SqliteWriter::insert_outcome(JobKey job, const Json& output, const Json& error, const Json& evidence)
{
    std::optional<std::string> texts[3];
    const Json* const values[] = {&output, &error, &evidence};
    for (std::size_t i = 0; i < 3; ++i) {
        if (values[i]->is_null()) continue;
        auto kept = values_.keep(job, dump_json(*values[i]));
        if (!kept) return fail(kept.error());
        texts[i] = std::move(*kept);
    }
    return db_->run("insert into outcomes(job, output, error, evidence) values (?1, ?2, ?3, ?4)", job, texts[0], texts[1], texts[2]);
}

Result<std::pair<std::string, std::string>> SqliteWriter::job_input(JobKey job)
{
    Rows rows = db_->query("select input, context from inputs where job = ?1", job);
    if (!rows.next()) return none(rows, "job", std::to_string(job));
    auto input = whole_text(folder_, rows.text(0)), context = whole_text(folder_, rows.text(1));
    if (!input) return fail(input.error());
    if (!context) return fail(context.error());
    return std::pair(std::move(*input), std::move(*context));
}

Status SqliteWriter::assign(const NewAttempt& a)
{
    if (auto ok = db_->run("update jobs set state = 1, attempt = ?2, agent = ?3, assigned = ?4 where id = ?1 and state = 0", a.job, a.attempt, a.agent,
                           a.assigned);
        !ok)
        return ok;
    if (db_->changes() != 1) return fail(Errc::internal, fmt::format("job {} was not ready", a.job));
    return db_->run("insert into attempts(job, attempt, agent, assigned, token, epoch) values (?1, ?2, ?3, ?4, ?5, ?6)", a.job, a.attempt, a.agent,
                    a.assigned, a.token, a.epoch);
}

Status SqliteWriter::adopt(const NewAttempt& a)
{
    if (auto ok = db_->run("update jobs set state = 1, attempt = ?2, agent = ?3, assigned = ?4 where id = ?1 and state < 4", a.job, a.attempt, a.agent,
                           a.assigned);
        !ok)
        return ok;
    if (db_->changes() != 1) return fail(Errc::internal, fmt::format("job {} was final already", a.job));
    return db_->run("insert into attempts(job, attempt, agent, assigned, token, epoch) values (?1, ?2, ?3, ?4, ?5, ?6) on conflict(job, attempt) do update "
                    "set agent = ?3, token = ?5, epoch = ?6, acknowledged = 0", a.job, a.attempt, a.agent, a.assigned, a.token, a.epoch);
}

void SqliteWriter::skip_feed() { sequence_ += 1ULL << 32; }

Status SqliteWriter::attempt_token(JobKey job, std::uint32_t attempt, std::string_view token)
{
    return db_->run("update attempts set token = ?3 where job = ?1 and attempt = ?2", job, attempt, token);
}

Result<AttemptRow> SqliteWriter::attempt(std::string_view job, std::uint32_t attempt)
{
    Rows rows = db_->query("select t.job, t.attempt, j.attempt, t.agent, t.acknowledged, t.bytes, j.state, t.epoch from jobs j "
                           "join attempts t on t.job = j.id where j.uid = ?1 and t.attempt = ?2", job, attempt);
    if (!rows.next()) return none(rows, "attempt", fmt::format("{} of job {}", attempt, job));
    return AttemptRow{.job = rows.integer(0), .attempt = static_cast<std::uint32_t>(rows.integer(1)),
                      .latest = static_cast<std::uint32_t>(rows.integer(2)), .agent = rows.integer(3),
                      .epoch = static_cast<std::uint64_t>(rows.integer(7)), .acknowledged = static_cast<std::uint64_t>(rows.integer(4)), .bytes = static_cast<std::uint64_t>(rows.integer(5)),
                      .job_state = static_cast<JobState>(rows.integer(6))};
}

Status SqliteWriter::progress(JobKey job, std::uint32_t attempt, const Progress& p)
{
    return db_->run("update attempts set acknowledged = ?3, bytes = ?4, lost_steps = ?5, lost_logs = ?6 where job = ?1 and attempt = ?2", job, attempt,
                    p.acknowledged, p.bytes, p.lost_steps, p.lost_logs);
}

Result<std::uint64_t> SqliteWriter::append_events(JobKey job, std::uint32_t attempt, const std::vector<protocol::Event>& events, bool stale)
{
    std::string lines;
    unsigned kinds = 0;
    for (const protocol::Event& event : events) {
        lines += event_line(event);
        const bool gap = event.kind == protocol::EventKind::gap;
        const std::string_view kind = gap ? std::string_view(event.body["kind"].as_string()) : protocol::name(event.kind);
        kinds |= kind == "step" ? kStepBit : kind == "log" ? kLogBit : gap ? kStepBit | kLogBit : 0U;
    }
    if (auto ok = db_->run("insert into events(job, attempt, first, last, kinds, stale, lines) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)", job, attempt,
                           events.front().sequence, events.back().sequence, kinds, stale, Blob{lines});
        !ok)
        return fail(ok.error());
    return lines.size();
}

Result<std::uint64_t> SqliteWriter::append_feed(const NewFeed& row)
{
    const auto optional = [](std::string_view text) { return text.empty() ? std::optional<std::string_view>() : std::optional(text); };
    std::optional<std::int64_t> job;
    if (row.job != 0) job = row.job;
    if (auto ok = db_->run("insert into feed(sequence, time, kind, job, subject, what, attempt, agent, reason, detail) "
                           "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                           sequence_ + 1, row.time, row.kind, job, optional(row.subject), row.what, row.attempt, optional(row.agent),
                           optional(row.reason), row.detail);
        !ok)
        return fail(ok.error());
    return ++sequence_;
}

Result<IdempotencyRow> SqliteWriter::idempotency(std::string_view scope, std::string_view key, WallTime since)
{
    Rows rows = db_->query("select i.sha256, j.uid from idempotency i join jobs j on j.id = i.job where i.scope = ?1 and i.key = ?2 and i.created >= ?3", scope, key, since);
    if (!rows.next()) return none(rows, "idempotency key", key);
    return IdempotencyRow{rows.string(0), rows.string(1)};
}

Status SqliteWriter::put_idempotency(std::string_view scope, std::string_view key, std::string_view sha, JobKey job, WallTime now)
{
    return db_->run("insert into idempotency(scope, key, sha256, job, created) values (?1, ?2, ?3, ?4, ?5) "
                    "on conflict(scope, key) do update set sha256 = ?3, job = ?4, created = ?5", scope, key, sha, job, now);
}

Status SqliteWriter::long_log(JobKey job, std::uint32_t attempt)
{
    return db_->run("insert into long_logs(job, attempt) values (?1, ?2) on conflict do nothing", job, attempt);
}

Result<std::vector<JobKey>> SqliteWriter::due_to_expire(WallTime now, std::size_t limit)
{
    Rows rows = db_->query("select id from jobs where state = 0 and expires is not null and expires <= ?1 order by expires limit ?2", now,
                           std::uint64_t{limit});
    std::vector<JobKey> out;
    while (rows.next()) out.push_back(rows.integer(0));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::optional<WallTime>> SqliteWriter::next_expiry()
{
    Rows rows = db_->query("select min(expires) from jobs where state = 0 and expires is not null");
    if (!rows.next()) return none(rows, "expiry", "next");
    return rows.optional_time(0);
}

}  // namespace mill::factory::sqlite
