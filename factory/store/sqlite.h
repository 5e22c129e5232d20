// factory/store/sqlite.h -- SQLite with our errors: a connection, its prepared statements and their rows. factory/store/ only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace mill::factory::sqlite {

inline constexpr int kBusyWait = 5000;   // ms that a statement waits for another connection

/// Bytes rather than text.
struct Blob {
    std::string_view bytes;
};

/// The rows of one query; the statement is free again when it ends.
class Rows {
public:
    Rows(sqlite3* db, sqlite3_stmt* statement, Status status) : db_(db), statement_(statement), status_(std::move(status)) {}
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;
    Rows(Rows&& other) noexcept;
    ~Rows();

    bool next();                                ///< false at the end, or on an error: see status()
    const Status& status() const { return status_; }
    std::int64_t integer(int column) const;
    double number(int column) const;
    bool boolean(int column) const { return integer(column) != 0; }
    std::string_view text(int column) const;    ///< until next()
    std::string string(int column) const { return std::string(text(column)); }
    bool null(int column) const;
    WallTime time(int column) const { return {integer(column)}; }
    std::optional<WallTime> optional_time(int column) const;
    Json json(int column) const;                ///< null when NULL; a text of ours that cannot be read is null, too

private:
    sqlite3* db_;
    sqlite3_stmt* statement_;
    Status status_;
};

/// One connection, one thread at a time. SQL texts are literals: a statement is prepared once and found by the literal's address.
class Database {
public:
    Database() = default;
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    Status open(const std::string& path, bool writable);
    Status script(const char* sql);   ///< several statements, nothing bound

    template <class... Args>
    Status run(const char* sql, const Args&... args)
    {
        Rows rows = query(sql, args...);
        while (rows.next()) {}
        return rows.status();
    }
    template <class... Args>
    Rows query(const char* sql, const Args&... args)
    {
        sqlite3_stmt* statement = nullptr;
        Status status = prepare(sql, statement);
        if (status) {
            int index = 0;
            (bind(statement, ++index, args), ...);
        }
        return Rows(db_, status ? statement : nullptr, std::move(status));
    }
    std::int64_t last_id() const;
    std::int64_t changes() const;
    bool in_transaction() const;
    sqlite3* handle() { return db_; }

private:
    Status prepare(const char* sql, sqlite3_stmt*& statement);
    static void bind(sqlite3_stmt* statement, int index, std::int64_t value);
    static void bind(sqlite3_stmt* statement, int index, double value);
    static void bind(sqlite3_stmt* statement, int index, int value) { bind(statement, index, std::int64_t{value}); }
    static void bind(sqlite3_stmt* statement, int index, bool value) { bind(statement, index, std::int64_t{value}); }
    static void bind(sqlite3_stmt* statement, int index, std::uint32_t value) { bind(statement, index, std::int64_t{value}); }
    static void bind(sqlite3_stmt* statement, int index, std::uint64_t value) { bind(statement, index, static_cast<std::int64_t>(value)); }
    static void bind(sqlite3_stmt* statement, int index, WallTime value) { bind(statement, index, value.microseconds); }
    static void bind(sqlite3_stmt* statement, int index, std::string_view value);
    static void bind(sqlite3_stmt* statement, int index, const std::string& value) { bind(statement, index, std::string_view(value)); }
    static void bind(sqlite3_stmt* statement, int index, Blob value);
    static void bind(sqlite3_stmt* statement, int index, std::nullopt_t);
    static void bind(sqlite3_stmt* statement, int index, const Json& value);   ///< as JSON text, null as NULL
    template <class T>
    static void bind(sqlite3_stmt* statement, int index, const std::optional<T>& value)
    {
        if (value) bind(statement, index, *value);
        else bind(statement, index, std::nullopt);
    }

    sqlite3* db_ = nullptr;
    std::unordered_map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace mill::factory::sqlite
