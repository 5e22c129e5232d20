// agent/self/pause.h -- a person of this machine wants no new jobs for a while: who, why and until when. Outlives restarts.
#pragma once

#include <optional>
#include <string>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace mill::agent {

struct Pause {
    std::string by, why;
    WallTime since;
    std::optional<WallTime> until;   ///< none: until somebody resumes
};

/// "paused by ada since 2026-11-26T10:00Z until 2026-11-26T12:00Z: maintenance", for `why` at the factory.
std::string words_of(const Pause& pause);
Json to_json(const Pause& pause);

/// DIR/paused.json. Nothing when there is none, or it is over. Errors: corrupt, denied, unavailable.
Result<std::optional<Pause>> load_pause(const std::string& data_folder, WallTime now);
/// Nothing removes it. Errors: unavailable.
Status save_pause(const std::string& data_folder, const std::optional<Pause>& pause);

}  // namespace mill::agent
