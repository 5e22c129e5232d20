// agent/files/file_events.h -- the thread that watches for files on behalf of one factory.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/factory_client.h"
#include "agent/files/file_journal.h"
#include "agent/self/vitals.h"
#include "platform/folder_watch.h"

namespace mill::agent {

/// Thread: `run` its own; the others any.
class FileEvents {
public:
    struct Parts {
        std::string folder;                       ///< DIR/factories/ID: files.journal, watches.json
        std::vector<std::string> allowed;         ///< folders that the owner's policy lets be watched
        const Clock& clock;
        FactoryClient& factory;                   ///< its own
        Milliseconds look = std::chrono::seconds(30);   ///< at folders that nobody spoke of
    };
    explicit FileEvents(Parts parts);

    /// Of the list of watches that it has; what a poll says.
    std::string version() const;
    /// {version, watches: [{trigger, path, settledMs}]}: instead of what it watched before.
    void set(const Json& list);
    void run(std::stop_token stop, Vitals::Loop* vital);

private:
    struct Watch {
        std::string trigger, folder, pattern;
        Milliseconds settled{5'000};
        struct Found {
            SeenFile file;
            SteadyTime since;                     ///< unchanged
        };
        std::map<std::string, Found> settling;    ///< by path
        std::string problem, refused;             ///< why it cannot watch; what the factory did not take
        SteadyTime next;                          ///< look
        Backoff backoff;
        SteadyTime report_at;                     ///< of its files, none before
    };
    struct List {
        std::string version;
        Json watches = Json::array();
    };
    void take_list();
    SteadyTime look_at(Watch& watch, SteadyTime now);   ///< answers when to look again
    Status note_down(Watch& watch, const std::vector<SeenFile>& files, SteadyTime now, SteadyTime& again);
    void report(std::stop_token stop, Vitals::Loop* vital);
    bool report_one(Watch& watch, const FileJournal::Entry& entry, std::stop_token stop);   ///< false: nothing can be reported now
    void say_standing(std::stop_token stop);
    void changed(const std::string& folder);

    Parts parts_;
    mutable std::mutex mutex_;
    std::condition_variable_any woken_;
    List list_;
    bool new_list_ = true, any_changed_ = false;
    std::set<std::string> changed_;

    // The loop's own.
    std::unique_ptr<FileJournal> journal_;
    std::unique_ptr<platform::FolderWatch> watching_;
    std::vector<Watch> watches_;
    Backoff backoff_;
    SteadyTime report_at_, say_at_;
    std::string said_;
};

}  // namespace mill::agent
