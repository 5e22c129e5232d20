// agent/companion/notices.h -- which notices a person is shown for what the agent says, and what their buttons do. Values in, values out.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/companion/catalogue.h"
#include "agent/companion/deed.h"
#include "platform/notifications.h"

namespace mill::companion {

struct Shown {
    std::string name;                        ///< "consent/ID", "question/ID", "tell/ID", "end/JOB"
    platform::Notice notice;
    std::map<std::string, Deed> deeds;       ///< by the action's name
    std::optional<Deed> dismissed = {};      ///< when it is put away
    bool operator==(const Shown&) const = default;
};

/// For each consent, question and message that is open.
std::vector<Shown> open_notices(const Json& person, Language language);

/// Jobs of this person that ended since the first look.
class Ends {
public:
    /// Each end once.
    std::vector<Shown> look(const Json& person, Language language);

private:
    std::set<std::string> mine_, known_;     ///< jobs: started by this person and seen running; ended
    bool first_ = true;
};

/// What became of a stop.
platform::Notice stopped_notice(Language language, std::size_t jobs);
platform::Notice not_stopped_notice(Language language, const std::string& why);
/// An answer that came too late, or could not be given.
platform::Notice refused_notice(Language language, const Deed& deed, const std::string& why);

}  // namespace mill::companion
