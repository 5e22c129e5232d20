// factory/store/sweeping.h -- what retention does to the store, a little at a time. factory/core/ only, within the writer's transaction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "factory/store/records.h"

namespace mill::factory {

/// Where a list that is gone through over many transactions goes on.
struct SweepPlace {
    std::int64_t time = 0, id = 0;
};

struct Swept {
    std::uint64_t rows = 0;   ///< removed
    bool more = false;        ///< there is more of it from the place on
};

/// Every call is bounded by its `limit`. Nothing of a job that is not final, of a delivery that is pending, or of a job whose idempotency key is
/// still remembered is ever removed; nor is the newest row of a list, so that numbers are not given twice.
class Sweeper {
public:
    virtual ~Sweeper() = default;

    struct ClosedJob { std::int64_t job = 0, closed = 0; };
    /// Final jobs behind `after` that became final before `before`, the oldest first.
    virtual Result<std::vector<ClosedJob>> closed_jobs(const SweepPlace& after, WallTime before, std::size_t limit) = 0;
    virtual Result<std::uint64_t> final_jobs() = 0;        ///< how many the store has
    virtual Result<bool> remove_job(std::int64_t job) = 0; ///< with all that belongs to it; false: it is in use
    /// Its steps and its log; a line of the log says so. False: it has none, or that was done before.
    virtual Result<bool> remove_records(std::int64_t job, WallTime now, std::string_view why) = 0;
    virtual Result<Swept> remove_deliveries(SweepPlace& place, WallTime before, std::size_t limit) = 0;
    virtual Result<Swept> remove_feed(SweepPlace& place, WallTime before, std::size_t limit) = 0;    ///< but the lines of jobs
    virtual Result<Swept> remove_audit(WallTime before, std::size_t limit) = 0;
    virtual Result<Swept> remove_keys(WallTime before, std::size_t limit) = 0;                       ///< idempotency
    virtual Result<Swept> remove_minutes(WallTime before, std::size_t limit) = 0;                    ///< of metrics

    /// Moves up to about `bytes` of the middle of a long log into its file, durable before the rows say so. False: no log is long.
    virtual Result<bool> move_log(std::size_t bytes) = 0;

    /// Files that rows which are gone had, once the transaction is committed.
    virtual std::vector<std::string> take_files() = 0;
    virtual Result<bool> is_named(std::string_view file) = 0;

    /// Pages that hold nothing, and gives up to `limit` of them back to the disk.
    struct Space { std::uint64_t free = 0, pages = 0, page_size = 0; };
    virtual Result<Space> space() = 0;
    virtual Status give_back(std::size_t limit) = 0;

    /// How much is older than these, counted up to `most`; for `jobs`: final ones, for `deliveries`: those that are not pending.
    struct Older { std::uint64_t jobs = 0, deliveries = 0, audit = 0; };
    virtual Result<Older> older(WallTime jobs, WallTime deliveries, WallTime audit, std::uint64_t most) = 0;

    virtual Status count(std::string_view kind, std::uint64_t rows) = 0;
    virtual Result<std::vector<RemovedCount>> counts() = 0;
    virtual Status end_run() = 0;                          ///< the next one counts anew
};

}  // namespace mill::factory
