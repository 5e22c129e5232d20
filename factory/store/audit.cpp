#include "factory/store/audit.h"

#include <charconv>

#include <fmt/format.h>

#include "factory/store/sqlite_writer.h"
#include "platform/base/encode.h"
#include "platform/crypto.h"

namespace mill::factory::sqlite {
namespace {

constexpr const char* kAuditRows = "select id, time, who, remote, action, kind, subject, detail, hash from audit where id > ?1 order by id";
constexpr std::string_view kAnchor = "audit_anchor";   // "ID:HASH" of the last row that retention took away; the chain goes on from it

void append_number(std::string& out, std::uint64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
}

/// Of the hash before and of every member, each with its length: no two rows have the same bytes.
std::string hash_of(const std::string& before, std::int64_t id, WallTime time, std::initializer_list<std::string_view> texts, const std::optional<std::string_view>& detail)
{
    std::string bytes = before;
    append_number(bytes, static_cast<std::uint64_t>(id));
    append_number(bytes, static_cast<std::uint64_t>(time.microseconds));
    for (const std::string_view text : texts) {
        append_number(bytes, text.size());
        bytes += text;
    }
    append_number(bytes, detail ? detail->size() : ~std::uint64_t{0});
    if (detail) bytes += *detail;
    return platform::sha256(bytes);
}

std::string hash_of(const std::string& before, const Rows& row)
{
    const auto detail = row.null(7) ? std::nullopt : std::optional<std::string>(row.string(7));
    const std::string who = row.string(2), remote = row.string(3), action = row.string(4), kind = row.string(5), subject = row.string(6);
    return hash_of(before, row.integer(0), row.time(1), {who, remote, action, kind, subject}, detail ? std::optional<std::string_view>(*detail) : std::nullopt);
}

Result<AuditHead> anchor_of(Reader& reader)
{
    AuditHead out;
    const auto text = reader.setting(kAnchor);
    if (!text && text.error().code == Errc::not_found) return out;
    if (!text) return fail(text.error());
    const auto colon = text->find(':');
    const auto hash = colon == std::string::npos ? Result<std::string>(fail(Errc::corrupt, "")) : from_hex(std::string_view(*text).substr(colon + 1));
    const auto [end, error] = std::from_chars(text->data(), text->data() + std::min(colon, text->size()), out.id);
    if (!hash || hash->size() != 32 || error != std::errc() || end != text->data() + colon) return fail(Errc::corrupt, fmt::format("the setting {} is '{}', expected ID:HASH", kAnchor, text->substr(0, 100)));
    out.hash = *hash;
    return out;
}

}  // namespace

Result<AuditHead> audit_head(Database& db)
{
    AuditHead out;
    Rows rows = db.query("select id, hash from audit order by id desc limit 1");
    if (rows.next()) {
        out.id = rows.integer(0);
        out.hash = rows.string(1);
    } else if (rows.status()) {
        SqliteReader reader(db, {});   // a setting only: no folder
        return anchor_of(reader);
    }
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Status chain_audit(Database& db)
{
    std::string before(32, '\0');
    Rows rows = db.query(kAuditRows, std::int64_t{0});
    while (rows.next()) {
        before = hash_of(before, rows);
        if (auto ok = db.run("update audit set hash = ?2 where id = ?1", rows.integer(0), Blob{before}); !ok) return ok;
    }
    return rows.status();
}

Status SqliteWriter::audit(const AuditRow& row)
{
    const std::int64_t id = audit_head_.id + 1;
    const std::string detail = row.detail.is_null() ? std::string() : dump_json(row.detail);
    const std::string hash = hash_of(audit_head_.hash, id, row.time, {row.who, row.remote, row.action, row.kind, row.subject},
                                     row.detail.is_null() ? std::nullopt : std::optional<std::string_view>(detail));
    const auto stored = db_->run("insert into audit(id, time, who, remote, action, kind, subject, detail, hash) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", id, row.time, row.who,
                                 row.remote, row.action, row.kind, row.subject, row.detail.is_null() ? std::optional<std::string_view>() : std::optional<std::string_view>(detail), Blob{hash});
    if (stored) audit_head_ = {id, hash};
    return stored;
}

Result<Page<AuditRow>> SqliteReader::audit(const AuditQuery& query)
{
    const auto before = read_cursor(query.cursor);
    if (!before) return fail(before.error());
    Rows rows = db_.query("select id, time, who, remote, action, kind, subject, detail, hash from audit where (?1 = 0 or id < ?1) and (?2 = '' or who = ?2) "
                          "and (?3 = '' or action = ?3) and (?4 = '' or kind = ?4) and (?5 = '' or subject = ?5) and (?6 is null or time >= ?6) and (?7 is null or time < ?7) "
                          "order by id desc limit ?8", *before, query.who, query.action, query.kind, query.subject, query.since, query.until, std::uint64_t{query.limit});
    Page<AuditRow> page;
    while (rows.next())
        page.items.push_back({.id = static_cast<std::uint64_t>(rows.integer(0)), .time = rows.time(1), .who = rows.string(2), .remote = rows.string(3), .action = rows.string(4),
                              .kind = rows.string(5), .subject = rows.string(6), .detail = rows.json(7), .hash = rows.string(8)});
    if (!rows.status()) return fail(rows.status().error());
    if (query.limit > 0 && page.items.size() == query.limit) page.next = std::to_string(page.items.back().id);
    return page;
}

Result<AuditVerdict> SqliteReader::verify_audit(std::string_view head)
{
    const auto anchor = anchor_of(*this);
    if (!anchor) return fail(anchor.error());
    AuditVerdict out{.rows = 0, .last = static_cast<std::uint64_t>(anchor->id), .head = anchor->hash, .wrong = 0, .why = {}};
    {
        Rows left = db_.query("select min(id) from audit where id <= ?1", anchor->id);
        if (left.next() && !left.null(0)) {
            out.wrong = static_cast<std::uint64_t>(left.integer(0));
            out.why = fmt::format("row {} stands before row {}, up to which retention removed all", out.wrong, anchor->id);
            return out;
        }
        if (!left.status()) return fail(left.status().error());
    }
    bool met = head.empty() || head == out.head;
    Rows rows = db_.query(kAuditRows, anchor->id);
    while (rows.next()) {
        const auto id = static_cast<std::uint64_t>(rows.integer(0));
        const std::string stored = rows.string(8), expected = hash_of(out.head, rows);
        if (stored != expected) {
            out.wrong = id;
            out.why = fmt::format("row {} is not what was written after row {}: {}", id, out.last,
                                  id != out.last + 1 ? "what stood between them is gone, or it was changed itself" : "it, or its place, was changed");
            return out;
        }
        out.head = expected;
        out.last = id;
        ++out.rows;
        met = met || head == expected;
    }
    if (!rows.status()) return fail(rows.status().error());
    if (!met) {
        out.wrong = out.last + 1;
        out.why = fmt::format("no row has the hash {}: what came after row {} was cut off (or the store is an older one, restored from a backup{})", to_hex(head), out.last, anchor->id > 0 ? fmt::format("; or the hash is of a row that retention removed, they end with row {}", anchor->id) : "");
    }
    return out;
}

}  // namespace mill::factory::sqlite

namespace mill::factory {

Json to_json(const AuditVerdict& verdict)
{
    Json out = Json::object({{"ok", Json(verdict.holds())}, {"rows", Json(verdict.rows)}, {"last", Json(verdict.last)}, {"head", Json(to_hex(verdict.head))}});
    if (!verdict.holds()) out.set("wrong", Json::object({{"id", Json(verdict.wrong)}, {"text", Json(verdict.why)}}));
    return out;
}

Result<AuditVerdict> verify_audit_of(const std::string& folder, std::string_view head)
{
    const std::string path = folder + "/factory.db";
    sqlite::Database db;
    if (auto ok = db.open(path, false); !ok) return fail(path, ok.error());
    sqlite::Rows columns = db.query("select count(*) from pragma_table_info('audit') where name = 'hash'");
    if (!columns.next()) return fail(path, columns.status() ? Error{Errc::corrupt, "it is no store of a factory"} : columns.status().error());
    if (columns.integer(0) == 0) return fail(Errc::invalid, path + " is of a program that kept no hashes: start this version's factory with it once, or restore the backup");
    sqlite::SqliteReader reader(db, folder);
    return reader.verify_audit(head);
}

}  // namespace mill::factory
