// agent/person/attendance.h -- everything that an attended agent has besides: made in order, joined, and let go in order.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "agent/at_factory.h"
#include "agent/person/room.h"
#include "agent/person/routes.h"

namespace mill::agent {

/// Made when a factory of this agent is attended. Thread: the main one, but for what is said otherwise. Outlives the factories' threads.
class Attendance {
public:
    struct Machine {
        const std::string& data_folder;
        const Clock& clock;
        Ledger& ledger;                                             ///< what the runs would write to without us
        std::function<std::optional<Pause>()> paused;
        std::function<void(const Pause&)> hold;
        std::function<Status(std::optional<Pause>)> pause;
    };
    /// Nothing: no factory of this agent is attended. Errors: conflict (another agent stands beside this person already).
    static Result<std::unique_ptr<Attendance>> open(const Machine& machine, const std::vector<std::unique_ptr<AtFactory>>& factories);

    Ledger& ledger() { return seen_; }          ///< for the runs
    /// Null: that factory's agent is not attended.
    AtPerson* of(const AtFactory& factory) const;
    /// Opens DIR/person. Before the factories' threads begin.
    void serve(std::function<void(Command)> to_runs);
    /// From now on the factories hear who sits here. Behind their start.
    void watch();
    /// Any thread.
    Json about() const { return room_->about(); }
    void close();                               ///< the socket and the watch; before the factories' threads end

private:
    Attendance(const Machine& machine, platform::Handle lock);
    void seen(const platform::DesktopSession& session);
    void look_at(const platform::DesktopPlace& place);

    Machine machine_;
    const platform::Handle lock_;
    Changes changes_;
    SeenJobs seen_;
    std::function<void(Command)> to_runs_;
    std::unique_ptr<PersonRoom> room_;
    std::vector<std::pair<AtFactory*, std::unique_ptr<AtPerson>>> persons_;
    std::mutex mutex_;
    std::unique_ptr<platform::DesktopWatch> watch_;
    platform::DesktopPlace told_;             // before there was a watch
    PersonSocket socket_;
};

}  // namespace mill::agent
