// agent/self/vitals.h -- what each loop of the agent says of itself: that it lives, and how its work goes.
#pragma once

#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace mill::agent {

/// Thread: any. A loop that breaks its promise is overdue; the keeper, which hears of it by silence, starts the agent again.
class Vitals {
public:
    explicit Vitals(const Clock& clock) : clock_(clock) {}

    /// One loop's own line. Thread: the loop's, or any.
    class Loop {
    public:
        /// "I shall say something again within this time."
        void within(Milliseconds time);
        /// It waits for work, for as long as that takes.
        void idle();
        void good();
        void bad(std::string_view why);

    private:
        friend class Vitals;
        Loop(Vitals& all, std::string name, std::string of) : all_(all), name_(std::move(name)), of_(std::move(of)) {}
        Vitals& all_;
        const std::string name_, of_;
        std::optional<SteadyTime> due_;
        std::optional<WallTime> good_at_, bad_at_;
        std::string why_;
    };
    /// A new line; valid as long as this object. `of`: whose, where there is one of that name for each factory.
    Loop& add(std::string name, std::string of = {});

    /// Loops that said they would be back by now, and are not.
    std::vector<std::string> overdue() const;
    /// [{name, of?, state: "waiting"|"working"|"overdue", lastGood, lastError: {at, why}}]; times RFC 3339. `lastError` is left out once something went well again.
    Json as_json() const;

private:
    const Clock& clock_;
    mutable std::mutex mutex_;
    std::list<Loop> loops_;
};

}  // namespace mill::agent
