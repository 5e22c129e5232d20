// factory/core/memory.h -- what the writer's thread has in memory of the store: read anew when a batch was given up.
#pragma once

#include <atomic>
#include <map>
#include <set>
#include <unordered_map>

#include "factory/core/state.h"

namespace mill::factory::core {

/// Thread: the writer's, but for the atomics. Ends after the threads of the core.
struct Memory {
    std::optional<FreshJob> fresh_;                       // the job being accepted: assigned without reading it again
    dispatch::Board board_;
    std::unordered_map<AgentKey, Agent> agents_;
    std::unordered_map<std::string, AgentKey> agent_ids_;
    std::unordered_map<JobKey, Active> active_;
    std::unordered_map<std::string, JobKey> active_uids_;
    std::unordered_map<std::int64_t, BindingRef> bindings_;
    std::unordered_map<std::string, BindingRef> trigger_bindings_;   // until a document changes
    std::unordered_map<std::string, std::vector<protocol::PackageSignature>> signatures_;   // by digest; until a document changes, as what follows
    std::optional<std::vector<Document>> publishers_;
    std::vector<Json> notifiers_;
    std::vector<Document> followers_;                     // triggers that listen to ends of jobs
    FileTriggers file_triggers_;
    std::unordered_map<JobKey, std::vector<Asking>> asking_;   // open questions
    std::map<std::string, NotifierState> receivers_;      // of notifiers with failures
    std::map<std::string, std::string> probing_;          // a held notifier's delivery that is under way
    std::multimap<WallTime, Watch> watches_;              // by when it is due
    bool watches_stale_ = true, waits_watched_ = false;
    WallTime loaded_;                                     // what was away while nobody was here gets a moment to come back
    std::map<std::string, KnownTrial> trials_;            // by deployment
    std::map<std::string, KnownSchedule> schedules_;      // by the trigger's uid
    std::atomic<std::int64_t> next_firing_{0};            // wall time in microseconds, for the timer's thread; 0: none
    HoldState hold_;
    std::set<AgentKey> awaited_;
    std::uint64_t last_news_ = 0;                         // microseconds when it began, then one more each time: it grows over restarts
    std::set<AgentKey> stirred_;                          // whose poll may have an answer after the commit
    std::uint64_t last_feed_ = 0, told_feed_ = 0;
    bool deliveries_made_ = false, ticked_ = false;
    std::unordered_map<std::string, std::vector<Waiter>> waiters_;   // by uid
    std::vector<std::string> ended_;                      // jobs in this batch
    std::unordered_map<std::int64_t, Waiting> waiting_texts_;
    std::unordered_map<std::int64_t, WaitNote> wait_notes_;   // by binding: the last that was known
    Retaining retaining_;
    std::vector<std::string> doomed_files_;               // their rows are gone with the commit
    std::atomic<bool> retains_{false}, loaded_writer_{false};   // for the timer's thread: there is more to do; others want the writer
};

}  // namespace mill::factory::core
