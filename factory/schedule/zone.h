// factory/schedule/zone.h -- a zone of the IANA database (the system's own files): local time ↔ instants.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/result.h"

namespace mill::factory {

/// Whole seconds since 1970-01-01T00:00:00 on a clock on a wall of that zone; no instant by itself.
struct LocalTime {
    std::int64_t seconds = 0;
    auto operator<=>(const LocalTime&) const = default;
};

/// Cheap to copy. Thread: any. The library reads the files' tables, which end with 2037: from then on it is winter.
class Zone {
public:
    /// "Europe/Berlin", "UTC". Errors: invalid (no such zone, with names near to it), unavailable (no database: install tzdata).
    static Result<Zone> find(std::string_view name);

    const std::string& name() const { return name_; }
    LocalTime local(WallTime instant) const;
    /// None in a gap, two where clocks were set back, the earlier first; else one.
    std::vector<WallTime> instants(LocalTime local) const;
    /// When the clocks had been moved over it: the first instant after the gap in which it lies.
    WallTime after_gap(LocalTime local) const;
    /// The offset from UTC is the same from `first` to `last`.
    bool is_steady(WallTime first, WallTime last) const;

private:
    Zone(const void* zone, std::string name) : zone_(zone), name_(std::move(name)) {}
    const void* zone_;  // of the library, for as long as the program runs
    std::string name_;
};

}  // namespace mill::factory
