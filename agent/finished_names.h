// agent/finished_names.h -- which attempts were ours: 16 bytes for each, so that months of work do not fill the memory.
#pragma once

#include <cstdint>
#include <vector>

#include "platform/base/clock.h"
#include "protocol/event.h"

namespace mill::agent {

/// A set of names by their 64-bit hashes (of a million names, two share one with a chance of 3e-8), with the minute they were finished.
/// Thread: one.
class FinishedNames {
public:
    static constexpr std::size_t kMost = 1'000'000;   ///< beyond, the oldest go: 16 MB
    void add(const protocol::AttemptId& id, WallTime time);   ///< again: the later time counts
    bool contains(const protocol::AttemptId& id) const;
    void forget_before(WallTime time);
    std::size_t size() const { return sorted_.size() + recent_.size(); }

private:
    struct Name {
        std::uint64_t hash = 0;
        std::int64_t minute = 0;
    };
    void merge();
    std::vector<Name> sorted_;   // by hash
    std::vector<Name> recent_;   // in order of arrival, few
};

}  // namespace mill::agent
