// agent/journal_history.h -- what finished attempts said, for a factory that lost it. It lies in the journal's file only and is read from there
// when it is asked for, or when the file is made smaller: in memory it would grow with the work done.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "agent/journal_state.h"
#include "platform/append_file.h"

namespace mill::agent {

/// Gives every good record of the file to `visit`. Blocks: for the disk. Errors: those of reading; what could not be read is no damage.
Result<ScanReport> scan_file(const platform::AppendFile& file, const std::function<void(const Record&)>& visit);

struct JournalHistory {
    std::map<protocol::AttemptId, AttemptEntry> kept;   ///< finished ones that began, with what they said

    /// Adds what an attempt said that is finished now. False: there is nothing that could be said again.
    bool keep(const protocol::AttemptId& id, AttemptEntry&& entry);
    /// Those finished before `time` go, then the oldest until the texts of the rest are at most `bytes`; of what each said stays what `shorten`
    /// leaves. Names of those that went go to `gone`.
    void trim(WallTime time, std::uint64_t bytes, std::uint64_t each, const std::function<void(const protocol::AttemptId&, WallTime)>& gone);
};
/// The newest `each` bytes, and the first and the last event.
void shorten(AttemptEntry& entry, std::uint64_t each);

/// `name`: an attempt of which nothing but its name is left.
/// Errors: as scan_file.
Result<JournalHistory> read_history(const platform::AppendFile& file, const std::function<void(const protocol::AttemptId&, WallTime)>& name = {});

}  // namespace mill::agent
