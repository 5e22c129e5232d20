// agent/person/room.h -- all that the agent knows and does for the person beside it, as DIR/person shows it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/person/at_person.h"
#include "agent/person/seen_jobs.h"
#include "agent/runs.h"
#include "agent/self/pause.h"
#include "platform/desktop_session.h"

namespace mill::agent {

/// Joins the factories' persons, the jobs that were seen and the desktop's session. Thread: any; nothing here waits for the network.
class PersonRoom {
public:
    struct Factory {
        AtPerson* person = nullptr;
        std::string agent, url;                 ///< the agent's name there
    };
    struct Parts {
        const Clock& clock;
        Changes& changes;
        SeenJobs& seen;
        std::function<void(Command)> to_runs;
        std::function<std::optional<Pause>()> paused;
        std::function<void(const Pause&)> hold;                     ///< no new jobs from now on; not on the disk yet
        std::function<Status(std::optional<Pause>)> pause;          ///< the same on the disk, or resumed
        std::function<void(const platform::DesktopPlace&)> desktop{};   ///< a face stands there
    };
    explicit PersonRoom(Parts parts) : parts_(std::move(parts)) {}
    /// Before anybody asks.
    void serve(std::vector<Factory> factories) { factories_ = std::move(factories); }

    /// As GET /v1/person answers.
    Json person() const;
    std::optional<Json> job(const std::string& uid) const;
    /// `factory`: its address, as a row of `person` has it; empty: the only one that has such a trigger, or question. Else 409; a question that nobody asks
    /// (any more): 410, and it is sent nowhere.
    void launch(Launch launch, const std::string& factory, Tell tell);
    void answer(const std::string& question, const std::string& factory, Json answer, std::string comment, Tell tell);
    Told choose(const std::string& consent, const std::string& choice, const std::string& caller);
    void cancel(const std::string& job, std::string why, const std::string& caller, Tell tell);
    /// All that runs here ends, what was let run and has not begun is for later, and nothing new begins for kHold. The jobs that were told.
    static constexpr std::chrono::seconds kHold{60};
    std::vector<std::string> stop(const std::string& way, const std::string& caller);
    Status pause(std::optional<WallTime> until, const std::string& caller);
    Status resume();

    /// A face says what it is: {kind, pid, notifications, tray, stopKey, page, problems}, and where it stands. One of each kind and process.
    void set_face(std::int64_t process, Json face, const platform::DesktopPlace& place = {});
    void tell(Json tell);                       ///< {id, text, title, job, at}: shown until it is dismissed
    bool dismiss(const std::string& id);
    void set_session(const platform::DesktopSession& session);

    /// `session` and `faces`, for a factory's session.
    Json facts() const;
    Json session() const;
    /// For `status` and the doctor: {socket?, user, session, faces, consents, questions, queued}.
    Json about() const;
    Changes& changes() { return parts_.changes; }
    const Clock& clock() const { return parts_.clock; }

private:
    /// Those factories that do what `has` says; all of them, or the one at that address.
    std::vector<AtPerson*> those(const std::string& factory, const std::function<bool(const AtPerson&)>& has) const;
    std::string by(const std::string& caller) const;
    std::string user() const;
    Json faces_locked() const;
    Json stop_key_locked() const;
    Json history() const;
    Json running() const;

    Parts parts_;
    std::vector<Factory> factories_;
    mutable std::mutex mutex_;
    Json session_ = Json::object({{"state", "unknown"}, {"user", ""}, {"since", Json()}, {"display", "none"}, {"unknown", Json::array()}});
    std::map<std::int64_t, Json> faces_;        // by process
    std::map<std::string, Json> tells_;
    std::set<std::string> dismissed_;
};

}  // namespace mill::agent
