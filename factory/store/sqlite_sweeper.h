// factory/store/sqlite_sweeper.h -- Sweeper on the writer's connection. factory/store/ only.
#pragma once

#include "factory/store/sqlite.h"
#include "factory/store/sweeping.h"

namespace mill::factory::sqlite {

class SqliteSweeper final : public Sweeper {
public:
    SqliteSweeper(Database& db, std::string folder) : db_(db), folder_(std::move(folder)) {}

    Result<std::vector<ClosedJob>> closed_jobs(const SweepPlace& after, WallTime before, std::size_t limit) override;
    Result<std::uint64_t> final_jobs() override;
    Result<bool> remove_job(std::int64_t job) override;
    Result<bool> remove_records(std::int64_t job, WallTime now, std::string_view why) override;
    Result<Swept> remove_deliveries(SweepPlace& place, WallTime before, std::size_t limit) override;
    Result<Swept> remove_feed(SweepPlace& place, WallTime before, std::size_t limit) override;
    Result<Swept> remove_audit(WallTime before, std::size_t limit) override;
    Result<Swept> remove_keys(WallTime before, std::size_t limit) override;
    Result<Swept> remove_minutes(WallTime before, std::size_t limit) override;
    Result<bool> move_log(std::size_t bytes) override;
    std::vector<std::string> take_files() override { return std::exchange(files_, {}); }
    Result<bool> is_named(std::string_view file) override;
    Result<Space> space() override;
    Status give_back(std::size_t limit) override;
    Result<Older> older(WallTime jobs, WallTime deliveries, WallTime audit, std::uint64_t most) override;
    Status count(std::string_view kind, std::uint64_t rows) override;
    Result<std::vector<RemovedCount>> counts() override;
    Status end_run() override;

private:
    Status drop_files(std::int64_t job, std::string_view kind);   ///< names of this beginning; "": all
    Result<Swept> swept(Status ok, std::size_t limit);
    Status keep_feed_number();

    Database& db_;
    std::string folder_;
    std::vector<std::string> files_;
};

/// Of the middle of one attempt's log.
std::string log_file_name(std::string_view job_uid, std::int64_t attempt);

}  // namespace mill::factory::sqlite
