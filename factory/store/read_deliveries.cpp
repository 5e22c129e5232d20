#include <fmt/format.h>

#include "factory/store/sqlite_reader.h"

namespace mill::factory {

std::string_view name(DeliveryState state)
{
    switch (state) {
    case DeliveryState::pending: return "pending";
    case DeliveryState::delivered: return "delivered";
    case DeliveryState::dead: return "dead";
    }
    return "unknown";
}

namespace sqlite {

DeliveryRecord delivery_row(const Rows& rows)
{
    DeliveryRecord out;
    out.id = rows.string(1);
    out.job = rows.string(2);
    out.notifier = rows.string(3);
    out.event = rows.string(4);
    out.state = static_cast<DeliveryState>(rows.integer(5));
    out.request = rows.json(6);
    out.created = rows.time(7);
    out.next_try = rows.optional_time(8);
    out.finished = rows.optional_time(9);
    out.attempts = static_cast<std::uint32_t>(rows.integer(10));
    out.error = rows.string(11);
    out.overtook = rows.boolean(12);
    out.subject = rows.string(13);
    out.held = out.state == DeliveryState::pending && rows.integer(14) == 2;
    return out;
}

namespace {

NotifierState state_row(const Rows& rows)
{
    return {.notifier = rows.string(0), .failures = static_cast<std::uint32_t>(rows.integer(1)), .held_since = rows.optional_time(2), .next_probe = rows.optional_time(3),
            .probes = static_cast<std::uint32_t>(rows.integer(4)), .why = rows.string(5), .pending = 0, .dead = 0};
}

}  // namespace

Result<NotifierState> SqliteReader::notifier_state(std::string_view notifier)
{
    NotifierState out;
    out.notifier = std::string(notifier);
    {
        Rows rows = db_.query("select notifier, failures, held_since, next_probe, probes, why from notifier_states where notifier = ?1", notifier);
        if (rows.next()) out = state_row(rows);
        if (!rows.status()) return fail(rows.status().error());
    }
    // Each by its own index: what was delivered is not read.
    Rows counts = db_.query("select (select count(*) from deliveries indexed by deliveries_pending where state = 0 and notifier = ?1), "
                            "(select count(*) from deliveries indexed by deliveries_dead where state = 2 and notifier = ?1)", notifier);
    if (counts.next()) {
        out.pending = static_cast<std::uint64_t>(counts.integer(0));
        out.dead = static_cast<std::uint64_t>(counts.integer(1));
    }
    if (!counts.status()) return fail(counts.status().error());
    return out;
}

Result<std::vector<NotifierState>> SqliteReader::notifier_states()
{
    Rows rows = db_.query("select notifier, failures, held_since, next_probe, probes, why from notifier_states where failures > 0 or held_since is not null");
    std::vector<NotifierState> out;
    while (rows.next()) out.push_back(state_row(rows));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<DeliveryRecord> SqliteReader::delivery(std::string_view id)
{
    static const std::string sql = fmt::format("select {} from deliveries d left join jobs j on j.id = d.job where d.uid = ?1", kDeliveryColumns);
    Rows rows = db_.query(sql.c_str(), id);
    if (!rows.next()) return none(rows, "delivery", id);
    DeliveryRecord out = delivery_row(rows);
    Rows history = db_.query("select number, time, request, status, response, error, took_ms from delivery_attempts where delivery = ?1 order by number",
                             rows.integer(0));
    while (history.next())
        out.history.push_back({.number = static_cast<std::uint32_t>(history.integer(0)), .time = history.time(1), .request = history.json(2),
                               .status = static_cast<int>(history.integer(3)), .response = history.string(4), .error = history.string(5),
                               .took = Milliseconds(history.integer(6))});
    if (!history.status()) return fail(history.status().error());
    if (out.held) {
        auto state = notifier_state(out.notifier);
        if (!state) return fail(state.error());
        out.hold = std::move(*state);
    }
    return out;
}

Result<Json> SqliteReader::kept_answer(std::string_view job, std::string_view notifier)
{
    Rows rows = db_.query("select d.kept from jobs j join deliveries d on d.job = j.id where j.uid = ?1 and d.notifier = ?2 and d.kept is not null order by d.id desc limit 1", job, notifier);
    if (rows.next()) return rows.json(0);
    if (!rows.status()) return fail(rows.status().error());
    return Json();
}

Result<Page<DeliveryRecord>> SqliteReader::deliveries(const DeliveryQuery& query)
{
    const auto cursor = read_cursor(query.cursor);
    if (!cursor) return fail(cursor.error());
    std::optional<std::int64_t> state, job;
    if (query.state) state = static_cast<std::int64_t>(*query.state);
    if (!query.job.empty()) {
        const auto key = job_key(query.job);
        if (!key) return fail(key.error());
        job = *key;
    }
    static const std::string kOfJob = fmt::format(
        "select {} from deliveries d left join jobs j on j.id = d.job where d.job = ?1 and d.id > ?2 "
        "and (?3 is null or d.state = ?3) and (?4 = '' or d.notifier = ?4) and (?6 = '' or d.event = ?6) and (?7 is null or d.created >= ?7) "
        "and (?8 is null or d.created < ?8) and (?9 = '' or instr(?9, '|' || (select b.environment from bindings b where b.id = j.binding) || '|') > 0) order by d.id limit ?5", kDeliveryColumns);
    static const std::string kAll = fmt::format(
        "select {} from deliveries d left join jobs j on j.id = d.job where ?1 is null and (?2 = 0 or d.id < ?2) "
        "and (?3 is null or d.state = ?3) and (?4 = '' or d.notifier = ?4) and (?6 = '' or d.event = ?6) and (?7 is null or d.created >= ?7) "
        "and (?8 is null or d.created < ?8) and (?9 = '' or instr(?9, '|' || (select b.environment from bindings b where b.id = j.binding) || '|') > 0) order by d.id desc limit ?5", kDeliveryColumns);
    // Those that did not arrive are few; all there ever were are not read for them.
    static const std::string kOpen = fmt::format(
        "select {} from deliveries d indexed by deliveries_open left join jobs j on j.id = d.job where d.state <> 1 and d.state = ?3 and ?1 is null and (?2 = 0 or d.id < ?2) "
        "and (?4 = '' or d.notifier = ?4) and (?6 = '' or d.event = ?6) and (?7 is null or d.created >= ?7) "
        "and (?8 is null or d.created < ?8) and (?9 = '' or instr(?9, '|' || (select b.environment from bindings b where b.id = j.binding) || '|') > 0) order by d.id desc limit ?5", kDeliveryColumns);
    const bool open = state && *state != static_cast<std::int64_t>(DeliveryState::delivered);
    Rows rows = db_.query((job ? kOfJob : open ? kOpen : kAll).c_str(), job, *cursor, state, query.notifier, std::uint64_t{query.limit}, query.event, query.since,
                          query.until, query.within);
    Page<DeliveryRecord> page;
    std::int64_t last = 0;
    while (rows.next()) {
        page.items.push_back(delivery_row(rows));
        last = rows.integer(0);
    }
    if (!rows.status()) return fail(rows.status().error());
    if (query.limit > 0 && page.items.size() == query.limit) page.next = std::to_string(last);
    return page;
}

}  // namespace sqlite
}  // namespace mill::factory
