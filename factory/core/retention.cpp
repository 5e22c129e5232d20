// What is over long ago goes: a few milliseconds of work in each turn of the writer, fewer turns while others want it.
#include <cstdio>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::factory::core {
namespace {

using Phase = Retaining::Phase;

constexpr Microseconds kLeast{500}, kMost{8'000};   // of the work of one step; its commit comes on top
constexpr Microseconds kHeld{25'000};         // a step and its commit: after a longer one the next does less
constexpr Microseconds kLoaded{20'000};       // a step whose turn came later than this is left out
constexpr std::size_t kRows = 200;            // of one step, also where the clock stands
constexpr std::size_t kPages = 64;
constexpr std::size_t kLogBytes = 1024 * 1024;
constexpr std::uint64_t kFreePages = 2'048;   // fewer are left for what comes
constexpr Milliseconds kOldKeys = std::chrono::hours(24);   // of idempotency: not looked at any more

std::string place_text(const SweepPlace& place) { return fmt::format("{} {}", place.time, place.id); }

SweepPlace read_place(const std::string& text)
{
    SweepPlace out;
    char* end = nullptr;
    out.time = std::strtoll(text.c_str(), &end, 10);
    out.id = std::strtoll(end, nullptr, 10);
    return out;
}

/// Where a list that has no end is gone on with in the next run.
const char* kept_place(Phase phase) { return phase == Phase::records ? "retention.logs" : phase == Phase::feed ? "retention.feed" : nullptr; }

}  // namespace

void CoreImpl::retention(Done<RetentionState> done)
{
    queue_.submit<RetentionState>(std::move(done), [this]() -> Result<RetentionState> {
        RetentionState out{.rules = options_.retention, .running = retaining_.runs, .last = {}, .removed = {}, .due = {}};
        const auto last = writer_.read().setting("retention");
        if (!last && last.error().code != Errc::not_found) return fail(last.error());
        if (last)
            if (auto json = parse_json(*last); json) out.last = std::move(*json);
        auto removed = writer_.sweeper().counts();
        if (!removed) return fail(removed.error());
        out.removed = std::move(*removed);
        const WallTime now = clock_.now();
        const auto cut = [&](const std::optional<Milliseconds>& age) { return age ? now - *age : WallTime{}; };
        const auto older = writer_.sweeper().older(cut(out.rules.jobs), cut(out.rules.deliveries), cut(out.rules.audit), kDueCounted);
        if (!older) return fail(older.error());
        out.due = {older->jobs, older->deliveries, older->audit};
        if (out.rules.jobs_most > 0) {
            const auto all = writer_.sweeper().final_jobs();
            if (!all) return fail(all.error());
            if (*all > out.rules.jobs_most) out.due.jobs = std::max(out.due.jobs, std::min(kDueCounted, *all - out.rules.jobs_most));
        }
        return out;
    });
}

Status CoreImpl::tick_retention(SteadyTime asked, WallTime now)
{
    const SteadyTime begun = clock_.steady();
    if (!retaining_.runs && begun < retaining_.next) return {};
    loaded_writer_ = begun - asked > kLoaded;
    if (loaded_writer_) return {};   // others come first
    if (!retaining_.runs)
        if (auto ok = begin_retention(now); !ok) return ok;
    const std::size_t doomed = doomed_files_.size();
    if (auto ok = retention_step(now); !ok) {
        log::error("retention", "stopped until the next run: {}", ok.error().what);
        (void)writer_.sweeper().take_files();   // their rows are there again
        doomed_files_.resize(doomed);
        retaining_.runs = false;
        retains_ = false;
        return ok;
    }
    retaining_.step = begun;
    return {};
}

/// The disk says how much a step may do: nobody waits for the writer much longer than without.
void CoreImpl::retention_committed(SteadyTime now)
{
    const Microseconds held = now - *std::exchange(retaining_.step, std::nullopt);
    retaining_.longest = std::max(retaining_.longest, held);
    retaining_.budget = held > kHeld ? std::max(kLeast, retaining_.budget / 2) : std::min(kMost, retaining_.budget * 9 / 8);
}

Status CoreImpl::begin_retention(WallTime now)
{
    const SteadyTime next = clock_.steady() + options_.retention.every;
    const Microseconds budget = retaining_.budget;
    retaining_ = {};
    retaining_.budget = budget;
    retaining_.next = next;
    retaining_.runs = true;
    retaining_.began = now;
    retaining_.folders = {"values", "logs"};
    retains_ = true;
    return {};
}

Status CoreImpl::retention_step(WallTime now)
{
    const RetentionRules& rules = options_.retention;
    Sweeper& sweeper = writer_.sweeper();
    const SteadyTime until = clock_.steady() + retaining_.budget;
    const auto of = [&](std::string_view kind, const Result<Swept>& swept) -> Result<bool> {
        if (!swept) return fail(swept.error());
        if (auto ok = sweeper.count(kind, swept->rows); !ok) return fail(ok.error());
        return swept->more;
    };
    Result<bool> more = false;
    switch (retaining_.phase) {
    case Phase::long_logs: more = sweeper.move_log(kLogBytes); break;
    case Phase::jobs:
        if (rules.jobs) more = retain_jobs(now - *rules.jobs, false, until);
        break;
    case Phase::too_many:
        if (rules.jobs_most > 0) more = retain_jobs(now, true, until);
        break;
    case Phase::records:
        if (rules.logs) more = retain_records(now - *rules.logs, now, until);
        break;
    case Phase::deliveries:
        if (rules.deliveries) more = of("deliveries", sweeper.remove_deliveries(retaining_.place, now - *rules.deliveries, kRows));
        break;
    case Phase::feed:
        if (rules.events) more = of("events", sweeper.remove_feed(retaining_.place, now - *rules.events, 5 * kRows));
        break;
    case Phase::audit:
        if (rules.audit) more = of("audit", sweeper.remove_audit(now - *rules.audit, kRows));
        break;
    case Phase::keys: more = of("keys", sweeper.remove_keys(now - kOldKeys, kRows)); break;
    case Phase::minutes:
        if (rules.metrics) more = of("metrics", sweeper.remove_minutes(now - *rules.metrics, 5 * kRows));
        break;
    case Phase::files: more = retain_files(until); break;
    case Phase::space: more = retain_space(); break;
    case Phase::done: return end_retention(now);
    }
    if (!more) return fail(more.error());
    for (std::string& file : sweeper.take_files()) doomed_files_.push_back(std::move(file));
    if (const char* key = kept_place(retaining_.phase); key && retaining_.place.id != 0)
        if (auto ok = writer_.put_setting(key, place_text(retaining_.place)); !ok) return ok;
    if (*more) return {};
    retaining_.phase = static_cast<Phase>(static_cast<int>(retaining_.phase) + 1);
    retaining_.place = {};
    if (const char* key = kept_place(retaining_.phase)) {
        const auto kept = writer_.read().setting(key);
        if (kept) retaining_.place = read_place(*kept);
        else if (kept.error().code != Errc::not_found) return fail(kept.error());
    }
    return {};
}

Result<bool> CoreImpl::retain_jobs(WallTime before, bool by_count, SteadyTime until)
{
    Sweeper& sweeper = writer_.sweeper();
    std::uint64_t spare = kRows;
    if (by_count) {
        const auto all = sweeper.final_jobs();
        if (!all) return fail(all.error());
        if (*all <= options_.retention.jobs_most) return false;
        spare = std::min<std::uint64_t>(spare, *all - options_.retention.jobs_most);
    }
    const auto jobs = sweeper.closed_jobs(retaining_.place, before, kRows);
    if (!jobs) return fail(jobs.error());
    std::uint64_t removed = 0;
    bool late = false;
    for (const Sweeper::ClosedJob& one : *jobs) {
        if (removed >= spare || (late = clock_.steady() >= until)) break;
        const auto gone = sweeper.remove_job(one.job);
        if (!gone) return fail(gone.error());
        retaining_.place = {one.closed, one.job};
        if (*gone) ++removed;
    }
    if (auto ok = sweeper.count("jobs", removed); !ok) return fail(ok.error());
    return late || jobs->size() == kRows;
}

Result<bool> CoreImpl::retain_records(WallTime before, WallTime now, SteadyTime until)
{
    Sweeper& sweeper = writer_.sweeper();
    const auto jobs = sweeper.closed_jobs(retaining_.place, before, kRows);
    if (!jobs) return fail(jobs.error());
    const std::string why = fmt::format("steps and log were removed: they are kept for {} (retention.logs)", format_duration(*options_.retention.logs));
    std::uint64_t removed = 0;
    bool late = false;
    for (const Sweeper::ClosedJob& one : *jobs) {
        if ((late = clock_.steady() >= until)) break;
        const auto gone = sweeper.remove_records(one.job, now, why);
        if (!gone) return fail(gone.error());
        retaining_.place = {one.closed, one.job};
        if (*gone) ++removed;
    }
    if (auto ok = sweeper.count("logs", removed); !ok) return fail(ok.error());
    return late || jobs->size() == kRows;
}

/// Files that no row names: of a process that was killed between the file and its row, or between a row's end and the file's. Every such file
/// is made on this thread, so none of them is about to be named.
Result<bool> CoreImpl::retain_files(SteadyTime until)
{
    std::error_code error;
    std::uint64_t removed = 0;
    while (clock_.steady() < until && removed < kRows) {
        if (!retaining_.listing) {
            if (retaining_.folders.empty()) break;
            retaining_.listing = std::make_shared<std::filesystem::directory_iterator>(store_->folder() + "/" + retaining_.folders.back(), error);
            if (error) retaining_.listing = std::make_shared<std::filesystem::directory_iterator>();   // it was never made
        }
        auto& at = *retaining_.listing;
        if (at == std::filesystem::directory_iterator()) {
            retaining_.listing.reset();
            retaining_.folders.pop_back();
            continue;
        }
        const std::string name = retaining_.folders.back() + "/" + at->path().filename().string();
        const auto named = writer_.sweeper().is_named(name);
        if (!named) return fail(named.error());
        if (!*named) {
            doomed_files_.push_back(name);
            ++removed;
        }
        at.increment(error);
        if (error) at = {};
    }
    if (auto ok = writer_.sweeper().count("files", removed); !ok) return fail(ok.error());
    return !retaining_.folders.empty();
}

Result<bool> CoreImpl::retain_space()
{
    Sweeper& sweeper = writer_.sweeper();
    const auto before = sweeper.space();
    if (!before) return fail(before.error());
    // What is written tomorrow needs pages, too: a tenth stays free.
    if (before->free < kFreePages || before->free < before->pages / 10) return false;
    if (auto ok = sweeper.give_back(kPages); !ok) return fail(ok.error());
    const auto after = sweeper.space();
    if (!after) return fail(after.error());
    if (after->pages >= before->pages) return false;   // a file of an earlier program: it keeps its size, and free pages are used again
    if (auto ok = sweeper.count("bytes", (before->pages - after->pages) * after->page_size); !ok) return fail(ok.error());
    return true;
}

Status CoreImpl::end_retention(WallTime now)
{
    const auto counts = writer_.sweeper().counts();
    if (!counts) return fail(counts.error());
    Json removed = Json::object();
    for (const RemovedCount& one : *counts)
        if (one.run > 0) removed.set(one.kind, one.run);
    const bool anything = !removed.as_object().empty();
    Json last = Json::object({{"startedAt", format_time(retaining_.began)}, {"endedAt", format_time(now)},
                              {"longestStepMs", static_cast<double>(retaining_.longest.count()) / 1000.0}, {"removed", removed}});
    if (auto ok = writer_.put_setting("retention", dump_json(last)); !ok) return ok;
    if (anything) {
        if (auto ok = audit({"retention", {}}, "remove", "Store", "retention", std::move(removed)); !ok) return ok;
        if (auto ok = writer_.sweeper().end_run(); !ok) return ok;
        log::info("retention", "removed {}", dump_json(last["removed"]));
    }
    retaining_.runs = false;
    retains_ = false;
    return {};
}

void CoreImpl::remove_doomed()
{
    const std::vector<std::string> files = std::exchange(doomed_files_, {});
    // A backup copies the files that its database names: they stay until it has, and go in a later run.
    const auto alone = platform::lock_file(store_->folder() + "/backup.lock");
    if (!alone && alone.error().code != Errc::conflict) log::warning("retention", "files of what went stay for now: {}", alone.error().what);
    if (!alone) return;
    for (const std::string& name : files)
        if (std::remove(fmt::format("{}/{}", store_->folder(), name).c_str()) != 0) log::debug("retention", "{} is not there", name);
}

}  // namespace mill::factory::core
