// agent/person/rules.h -- what policy.yaml says about the person beside the agent: `consent` and `quietHours`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/fields.h"

namespace mill::agent {

/// A time of the week, as the clock on the wall shows it.
struct QuietTime {
    unsigned days = 0;        ///< bit 0 is Monday
    int from = 0, to = 0;     ///< minutes of the day; `to` at or before `from` is one of the next day
};

struct PersonRules {
    enum class Jobs { ask, always, never };   ///< those that others start for this desktop
    Jobs jobs = Jobs::ask;
    Milliseconds within{120'000};             ///< so long the person is asked
    std::vector<QuietTime> quiet;             ///< then not even that
    bool stated = false;                      ///< the file says one of the two: it holds also while the agent is nobody's
};

/// Takes `consent` and `quietHours` of policy.yaml; mistakes stay with `fields`.
PersonRules read_person_rules(Fields& fields);
/// When the quiet time that `now` lies in ends, the ones that follow without a gap included; nothing: it is in none.
std::optional<WallTime> quiet_until(const std::vector<QuietTime>& quiet, WallTime now);

/// "mon-fri 12:00-13:00"
std::string words_of(const QuietTime& quiet);
/// What the rules say of a pushed job, for `policy test`: "asked about, within 2m; not on mon-fri 12:00-13:00".
std::string words_of(const PersonRules& rules);

}  // namespace mill::agent
