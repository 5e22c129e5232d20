#include <charconv>

#include <fmt/format.h>

#include "factory/store/sqlite_reader.h"
#include "factory/store/sqlite_sweeper.h"
#include "platform/append_file.h"
#include "platform/files.h"

namespace mill::factory::sqlite {
namespace {

struct Place {
    std::int64_t attempt = 0, sequence = 0;
};

/// "ATTEMPT.SEQUENCE"; empty is the beginning.
Result<Place> read_place(std::string_view cursor)
{
    Place place;
    if (cursor.empty()) return place;
    const std::size_t dot = cursor.find('.');
    if (dot != std::string_view::npos) {
        const auto attempt = read_cursor(cursor.substr(0, dot)), sequence = read_cursor(cursor.substr(dot + 1));
        if (attempt && sequence) return Place{*attempt, *sequence};
    }
    return fail(Errc::invalid, fmt::format("'{}' is no cursor of this list", cursor.substr(0, 60)));
}

/// Calls `take` for each event of one stored row until it says false. Lines are ours: one that cannot be read is left out.
template <class Take>
bool each_event(std::string_view lines, Take take)
{
    while (!lines.empty()) {
        const std::size_t end = lines.find('\n');
        const auto json = parse_json(lines.substr(0, end));
        lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
        if (!json) continue;
        auto event = protocol::parse_event(*json);
        if (event && !take(std::move(*event))) return false;
    }
    return true;
}

bool is_of(const protocol::Event& event, protocol::EventKind kind)
{
    if (event.kind == protocol::EventKind::gap) {
        const std::string& of = event.body["kind"].as_string();
        return of == protocol::name(kind) || (of != "step" && of != "log");   // a refused event might have been either; removed ones were both
    }
    return event.kind == kind;
}

/// In place of what its file does not have any more: whoever reads the log sees it.
std::string missing_lines(std::int64_t first, std::int64_t last, protocol::EventKind kind, const std::string& why)
{
    return event_line({static_cast<std::uint64_t>(last), {}, protocol::EventKind::gap,
                       Json::object({{"kind", protocol::name(kind)}, {"lost", last - first + 1}, {"why", why}})});
}

}  // namespace

Result<std::string> SqliteReader::moved_lines(std::string_view job, std::int64_t attempt, std::int64_t at, std::int64_t size) const
{
    const std::string path = fmt::format("{}/{}", folder_, log_file_name(job, attempt));
    if (!platform::exists(path)) return fail(Errc::corrupt, path + " is missing: restore it from a backup");   // opening would make it
    auto file = platform::AppendFile::open(path);
    if (!file) return fail(std::move(file.error()));
    return file->read(static_cast<std::uint64_t>(at), static_cast<std::size_t>(size));
}

std::string event_line(const protocol::Event& event)
{
    std::string line = dump_json(protocol::to_json(event));
    line += '\n';
    return line;
}

Result<Page<StoredEvent>> SqliteReader::events(std::string_view job, protocol::EventKind kind, std::string_view cursor, std::size_t limit)
{
    const auto place = read_place(cursor);
    if (!place) return fail(place.error());
    const auto key = job_key(job);
    if (!key) return fail(key.error());
    const unsigned bit = kind == protocol::EventKind::step ? kStepBit : kLogBit;
    Rows rows = db_.query("select attempt, lines, at, size, first, last from events where job = ?1 and stale = 0 and (kinds & ?2) <> 0 "
                          "and (attempt > ?3 or (attempt = ?3 and last > ?4)) order by attempt, first, id",
                          *key, std::int64_t{bit}, place->attempt, place->sequence);
    Page<StoredEvent> page;
    page.next = std::string(cursor);
    bool more = limit > 0;
    while (more && rows.next()) {
        const auto attempt = static_cast<std::uint32_t>(rows.integer(0));
        std::string moved;
        if (!rows.null(2)) {
            auto lines = moved_lines(job, attempt, rows.integer(2), rows.integer(3));
            if (!lines) lines = missing_lines(rows.integer(4), rows.integer(5), kind, lines.error().what);
            moved = std::move(*lines);
        }
        more = each_event(rows.null(2) ? rows.text(1) : std::string_view(moved), [&](protocol::Event event) {
            if (attempt == place->attempt && event.sequence <= static_cast<std::uint64_t>(place->sequence)) return true;
            if (!is_of(event, kind)) return true;
            page.next = fmt::format("{}.{}", attempt, event.sequence);
            page.items.push_back({attempt, std::move(event), page.next});
            return page.items.size() < limit;
        });
    }
    if (!rows.status()) return fail(rows.status().error());
    return page;
}

Result<std::vector<StoredEvent>> SqliteReader::stale_events(std::string_view job)
{
    const auto key = job_key(job);
    if (!key) return fail(key.error());
    Rows rows = db_.query("select attempt, lines from events where job = ?1 and stale = 1 order by attempt, first, id", *key);
    std::vector<StoredEvent> out;
    while (rows.next()) {
        const auto attempt = static_cast<std::uint32_t>(rows.integer(0));
        each_event(rows.text(1), [&](protocol::Event event) {
            std::string at = fmt::format("{}.{}", attempt, event.sequence);
            out.push_back({attempt, std::move(event), std::move(at)});
            return true;
        });
    }
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

}  // namespace mill::factory::sqlite
