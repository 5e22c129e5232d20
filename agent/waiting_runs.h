// agent/waiting_runs.h -- runs that wait for people, as they are to go on after a restart of the machine: a file each beside the journal.
#pragma once

#include <optional>
#include <string>

#include "platform/base/json.h"
#include "protocol/event.h"

namespace mill::agent {

/// A file is there only while its run cannot have gone on. Thread: that of the runs.
class WaitingRuns {
public:
    explicit WaitingRuns(std::string folder) : folder_(std::move(folder)) {}

    struct Kept {
        std::uint64_t after = 0;   ///< the last event of the attempt by then
        Json snapshot;             ///< as the runner gave it
    };
    /// On the disk when it returns. Errors: unavailable.
    Status keep(const protocol::AttemptId& id, const Kept& kept);
    /// Gone from the disk when it returns; fine when there was none. Errors: unavailable.
    Status forget(const protocol::AttemptId& id);
    /// Nothing: none is kept, or it is damaged.
    std::optional<Kept> find(const protocol::AttemptId& id) const;

private:
    std::string path_of(const protocol::AttemptId& id) const;
    std::string folder_;
};

}  // namespace mill::agent
