#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <sqlite3.h>

#include <fmt/format.h>

#include "factory/store/schema.h"
#include "factory/store/sqlite_writer.h"
#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::factory {
namespace sqlite {
namespace {

constexpr int kPagesToMove = 1000;       // the log is moved to the database from here on, on a thread of its own
constexpr int kPagesTooMany = 32'000;    // the writer itself moves it: 128 MiB

/// Moves the write-ahead log into the database, so that no commit does it on its way.
class Checkpointer {
public:
    Status start(const std::string& path)
    {
        if (auto ok = db_.open(path, true); !ok) return ok;
        // A connection that never read does not know that there is a log: SQLite then moves nothing, and says that all is well.
        if (auto ok = db_.script("select count(*) from sqlite_schema"); !ok) return ok;
        thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
        return {};
    }
    void ask()
    {
        {
            const std::scoped_lock lock(mutex_);
            asked_ = true;
        }
        wake_.notify_one();
    }

private:
    void run(std::stop_token stop)
    {
        while (true) {
            {
                std::unique_lock lock(mutex_);
                if (!wake_.wait(lock, stop, [&] { return asked_; })) return;
                asked_ = false;
            }
            (void)sqlite3_wal_checkpoint_v2(db_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
        }
    }
    Database db_;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    bool asked_ = false;
    std::jthread thread_;   // last: joined first
};

Status set_up(Database& db, bool writer)
{
    if (auto ok = db.script("pragma foreign_keys = on; pragma temp_store = memory;"); !ok) return ok;
    if (!writer) return db.script("pragma query_only = on; pragma cache_size = -2000;");
    // The first of it counts only in a new file: space that is free can then be given back little by little.
    return db.script("pragma auto_vacuum = incremental; pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 0; pragma cache_size = -8000; "
                     "pragma journal_size_limit = 67108864;");
}

class SqliteStore final : public Store {
public:
    explicit SqliteStore(std::string folder) : folder_(std::move(folder)) {}

    Status open()
    {
        if (auto ok = platform::make_folder(folder_ + "/packages", 0700); !ok) return fail("making the data folder", ok.error());
        auto lock = platform::lock_file(folder_ + "/factory.lock");
        if (!lock) return fail("the data folder is in use", lock.error());
        lock_ = std::move(*lock);
        auto db = std::make_unique<Database>();
        if (auto ok = db->open(path(), true); !ok) return fail(path(), ok.error());
        if (auto ok = set_up(*db, true); !ok) return fail(path(), ok.error());
        if (auto ok = migrate(*db); !ok) return fail(path(), ok.error());
        sqlite3_wal_hook(db->handle(), &SqliteStore::committed, this);
        writer_ = std::make_unique<SqliteWriter>(std::move(db), folder_);
        if (auto ok = writer_->start(); !ok) return fail(path(), ok.error());
        return checkpointer_.start(path());
    }

    Writer& writer() override { return *writer_; }
    Result<std::unique_ptr<Reader>> open_reader() override
    {
        auto db = std::make_unique<Database>();
        if (auto ok = db->open(path(), false); !ok) return fail(path(), ok.error());
        if (auto ok = set_up(*db, false); !ok) return fail(path(), ok.error());
        return std::make_unique<SqliteReader>(std::move(db), folder_);
    }
    std::string folder() const override { return folder_; }

private:
    std::string path() const { return folder_ + "/factory.db"; }
    static int committed(void* self, sqlite3* db, const char*, int pages)
    {
        if (pages >= kPagesTooMany) {
            // Not while somebody reads what is in it, as a backup does for minutes: no commit waits for that.
            sqlite3_busy_timeout(db, 0);
            (void)sqlite3_wal_checkpoint_v2(db, nullptr, SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
            sqlite3_busy_timeout(db, kBusyWait);
        } else if (pages >= kPagesToMove) static_cast<SqliteStore*>(self)->checkpointer_.ask();
        return SQLITE_OK;
    }

    std::string folder_;
    platform::Handle lock_;
    Checkpointer checkpointer_;
    std::unique_ptr<SqliteWriter> writer_;   // closed before the checkpointer ends
};

}  // namespace

void SqliteWriter::tidy() { (void)sqlite3_wal_checkpoint_v2(db_->handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr); }

}  // namespace sqlite

Result<std::unique_ptr<Store>> open_store(const std::string& folder)
{
    auto store = std::make_unique<sqlite::SqliteStore>(folder);
    if (auto ok = store->open(); !ok) return fail(ok.error());
    return store;
}

}  // namespace mill::factory
