// agent/journal.h -- what this agent took on and what it has to report, on disk before anybody is told.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/journal_history.h"
#include "platform/append_file.h"
#include "platform/base/clock.h"

namespace mill::agent {

/// One file of a factory: attempts and the outbox of their events. A torn tail is cut off, damage in the middle is stepped over and
/// stands as `gap` events. Thread: any; `sync` does not hold up `pending` and `acknowledge`.
class Journal {
public:
    struct Options {
        std::uint64_t compact_above = 4 * 1024 * 1024;      ///< bytes of file; below, compaction is not worth it
        std::chrono::hours memory{24 * 30};                 ///< finished attempts' names are kept so long
        // For a factory that lost what it had acknowledged (design: restore).
        std::chrono::hours kept{24 * 7};                    ///< and what they said so long
        std::uint64_t kept_bytes = 8 * 1024 * 1024;         ///< of all of them together; the oldest go first
        std::uint64_t said_bytes = 1024 * 1024;             ///< of one attempt, besides its first and last event; the newest stay
    };
    struct Held {
        protocol::AttemptId id;
        Stage stage = Stage::taken;
        std::string offer;                  ///< JSON text; empty when lost to damage
        SteadyTime started;
        std::uint64_t last_sequence = 0, acknowledged = 0;
        bool withheld = false;
    };
    struct Batch {
        protocol::AttemptId id;
        std::vector<std::string> events;    ///< JSON texts, contiguous above what is acknowledged
    };

    /// Errors: denied, unavailable. Damage is no error: see `report`.
    static Result<std::unique_ptr<Journal>> open(const std::string& path, const Clock& clock, Options options);
    static Result<std::unique_ptr<Journal>> open(const std::string& path, const Clock& clock);
    const ScanReport& report() const { return report_; }

    std::vector<Held> held() const;
    bool knows(const protocol::AttemptId& id) const;
    bool is_open(const protocol::AttemptId& id) const;  ///< runs, or has events to report
    std::uint64_t file_size() const;

    /// An attempt as it is said again: `events` rise, and may have holes.
    struct Said {
        protocol::AttemptId id;
        std::string offer;                  ///< JSON text
        std::vector<std::string> events;    ///< JSON texts, those that wait for an acknowledgement included
    };
    /// The first attempt above `after` in order of its name, held or kept; nothing: that was all. The first call reads the file, and what it
    /// found stays in memory until there is nothing more.
    Result<std::optional<Said>> said_after(const protocol::AttemptId& after);
    /// The attempt that was finished last, and its last event.
    std::optional<std::pair<protocol::AttemptId, std::uint64_t>> last_finished() const;

    // Each is in the file when it returns. `start` and `add` are safe after the next sync; the others need none: lost with the machine's
    // power they are said again (an offer is repeated, an acknowledgement too). Errors: unavailable (disk full).
    Status take(const protocol::AttemptId& id, std::string_view offer_json);
    Status start(const protocol::AttemptId& id, const protocol::Event& running, SteadyTime now);
    Status add(const protocol::AttemptId& id, const protocol::Event& event);
    Status finish(const protocol::AttemptId& id);  ///< nothing of it is to be reported
    /// Blocks for the disk, when there is something that has to be safe.
    Status sync();

    /// Events that are safe on disk and not acknowledged, at most about `max_bytes` (at least one).
    Result<std::vector<Batch>> pending(std::size_t max_bytes);
    Status acknowledge(const protocol::AttemptId& id, std::uint64_t sequence);
    /// What began here is nothing to its factory before that was told of it: none of its events is to be reported until then. Not on the disk.
    void withhold(const protocol::AttemptId& id);
    void give(const protocol::AttemptId& id);          ///< its factory knows of it
    void refuse(const protocol::AttemptId& id);        ///< …and wants nothing of it: it is finished when it has ended
    bool is_refused(const protocol::AttemptId& id) const;
    bool is_withheld(const protocol::AttemptId& id) const;
    std::vector<Held> withheld() const;
    bool empty() const;  ///< nothing to report
    struct Depth {
        std::size_t attempts = 0, events = 0;   ///< not acknowledged
        std::uint64_t bytes = 0;                ///< of the events' texts
    };
    Depth depth() const;
    /// Waits until there is nothing to report; false when `wait` is over.
    bool wait_empty(Milliseconds wait);
    /// Waits until something safe on disk is unacknowledged; false when `wait` is over or `stop` requested.
    bool wait_pending(std::optional<Milliseconds> wait, std::stop_token stop);

private:
    Journal(platform::AppendFile file, std::string path, const Clock& clock, Options options);
    Status append(Record record);
    Status append_locked(Record record);
    bool pending_locked() const;
    bool empty_locked() const;
    Status compact_locked();
    void maybe_compact_locked();
    Result<std::string> text_locked(const EventRef& ref) const;
    Result<std::string> event_locked(const EventRef& ref) const;   ///< a gap where the text was lost to damage

    const std::string path_;
    const Clock& clock_;
    const Options options_;
    mutable std::mutex mutex_;
    std::mutex sync_mutex_;               // one sync or compaction at a time; taken before mutex_
    std::condition_variable_any durable_, acknowledged_;
    platform::AppendFile file_;
    std::optional<JournalHistory> history_;   // while somebody goes through it
    JournalState state_;
    ScanReport report_;
    std::uint64_t safe_ = 0;              // bytes of the file that were synced
    std::uint64_t needed_ = 0;            // up to here a sync is wanted
    std::uint64_t compact_at_ = 0;
    protocol::AttemptId last_served_;
    std::set<protocol::AttemptId> withheld_, refused_;
};

}  // namespace mill::agent
