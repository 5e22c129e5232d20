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
    return out;
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
        "and (?3 is null or d.state = ?3) and (?4 = '' or d.notifier = ?4) order by d.id limit ?5", kDeliveryColumns);
    static const std::string kAll = fmt::format(
        "select {} from deliveries d left join jobs j on j.id = d.job where ?1 is null and (?2 = 0 or d.id < ?2) "
        "and (?3 is null or d.state = ?3) and (?4 = '' or d.notifier = ?4) order by d.id desc limit ?5", kDeliveryColumns);
    Rows rows = db_.query((job ? kOfJob : kAll).c_str(), job, *cursor, state, query.notifier, std::uint64_t{query.limit});
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
