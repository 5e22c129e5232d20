#include "factory/store/sqlite.h"

#include <sqlite3.h>

#include <fmt/format.h>

namespace mill::factory::sqlite {
namespace {

Status error_of(sqlite3* db, int code)
{
    const char* words = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT: return fail(Errc::conflict, fmt::format("store: {}", words));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return fail(Errc::corrupt, fmt::format("store: {}", words));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_NOMEM: return fail(Errc::unavailable, fmt::format("store: {}", words));
    case SQLITE_READONLY:
    case SQLITE_PERM: return fail(Errc::denied, fmt::format("store: {}", words));
    case SQLITE_TOOBIG: return fail(Errc::too_large, fmt::format("store: {}", words));
    default: return fail(Errc::internal, fmt::format("store: {} ({})", words, code));
    }
}

}  // namespace

Rows::Rows(Rows&& other) noexcept : db_(other.db_), statement_(other.statement_), status_(std::move(other.status_))
{
    other.statement_ = nullptr;
}

Rows::~Rows()
{
    if (!statement_) return;
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
}

bool Rows::next()
{
    if (!statement_ || !status_) return false;
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) status_ = error_of(db_, sqlite3_extended_errcode(db_));
    return false;
}

std::int64_t Rows::integer(int column) const { return sqlite3_column_int64(statement_, column); }

double Rows::number(int column) const { return sqlite3_column_double(statement_, column); }

std::string_view Rows::text(int column) const
{
    const void* bytes = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    return bytes ? std::string_view(static_cast<const char*>(bytes), static_cast<std::size_t>(size)) : std::string_view();
}

bool Rows::null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::optional<WallTime> Rows::optional_time(int column) const
{
    if (null(column)) return std::nullopt;
    return time(column);
}

Json Rows::json(int column) const
{
    if (null(column)) return {};
    auto value = parse_json(text(column), {.bytes = 64 * 1024 * 1024, .depth = 256});
    return value ? std::move(*value) : Json();
}

Database::~Database()
{
    for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    if (db_) sqlite3_close(db_);
}

Status Database::open(const std::string& path, bool writable)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writable ? SQLITE_OPEN_CREATE : 0);
    if (const int code = sqlite3_open_v2(path.c_str(), &db_, flags, nullptr); code != SQLITE_OK) return error_of(db_, code);
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_timeout(db_, kBusyWait);
    return {};
}

Status Database::script(const char* sql)
{
    if (const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr); code != SQLITE_OK) return error_of(db_, code);
    return {};
}

Status Database::prepare(const char* sql, sqlite3_stmt*& statement)
{
    sqlite3_stmt*& found = statements_[sql];
    if (!found) {
        const int code = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &found, nullptr);
        if (code != SQLITE_OK) return error_of(db_, code);
    }
    statement = found;
    return {};
}

std::int64_t Database::last_id() const { return sqlite3_last_insert_rowid(db_); }
std::int64_t Database::changes() const { return sqlite3_changes64(db_); }
bool Database::in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

void Database::bind(sqlite3_stmt* statement, int index, std::int64_t value) { sqlite3_bind_int64(statement, index, value); }

void Database::bind(sqlite3_stmt* statement, int index, double value) { sqlite3_bind_double(statement, index, value); }

void Database::bind(sqlite3_stmt* statement, int index, std::string_view value)
{
    sqlite3_bind_text64(statement, index, value.data() ? value.data() : "", value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void Database::bind(sqlite3_stmt* statement, int index, Blob value)
{
    sqlite3_bind_blob64(statement, index, value.bytes.data() ? value.bytes.data() : "", value.bytes.size(), SQLITE_TRANSIENT);
}

void Database::bind(sqlite3_stmt* statement, int index, std::nullopt_t) { sqlite3_bind_null(statement, index); }

void Database::bind(sqlite3_stmt* statement, int index, const Json& value)
{
    if (value.is_null()) sqlite3_bind_null(statement, index);
    else bind(statement, index, std::string_view(dump_json(value)));
}

}  // namespace mill::factory::sqlite
