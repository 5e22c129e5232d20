#include "agent/files/file_events.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/log.h"
#include "platform/files.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::size_t kMostWatches = 1000, kAtOnce = 100;
constexpr std::chrono::milliseconds kPace{10};           // 100 reports a second at most
constexpr std::chrono::milliseconds kGather{200};        // what changes together is looked at once
constexpr std::chrono::seconds kAnswer{20}, kLater{30}, kSay{300};

/// It would be the same the next time. Who this agent is was settled with its token; what stands between may refuse, too, and is no factory.
bool is_final(const Refusal& refusal)
{
    if (refusal.status == 400 || refusal.status == 413 || refusal.status == 422) return true;
    return refusal.problem && (refusal.status == 403 || (refusal.status == 404 && refusal.name != "unknown_route"));
}

std::string list_path(const std::string& folder) { return folder + "/watches.json"; }

}  // namespace

FileEvents::FileEvents(Parts parts) : parts_(std::move(parts))
{
    // Of the last time: an agent whose factory is away watches all the same.
    const auto text = platform::read_file(list_path(parts_.folder), 1024 * 1024);
    const auto json = text ? parse_json(*text) : Result<Json>(fail(text.error()));
    if (json) list_ = {(*json)["version"].as_string(), (*json)["watches"]};
}

std::string FileEvents::version() const
{
    const std::scoped_lock lock(mutex_);
    return list_.version;
}

void FileEvents::set(const Json& list)
{
    if (!list["version"].is_string() || !list["watches"].is_array()) return;
    Json watches = Json::array();
    for (const Json& one : list["watches"].as_array()) {
        if (watches.size() == kMostWatches) {
            log::error("files", "the factory names {} watches: the first {} count", list["watches"].size(), kMostWatches);
            break;
        }
        watches.push(one);
    }
    {
        const std::scoped_lock lock(mutex_);
        list_ = {list["version"].as_string(), std::move(watches)};
        new_list_ = true;
    }
    woken_.notify_all();
}

void FileEvents::changed(const std::string& folder)
{
    {
        const std::scoped_lock lock(mutex_);
        if (folder.empty()) any_changed_ = true;
        else changed_.insert(folder);
    }
    woken_.notify_all();
}

void FileEvents::take_list()
{
    List list;
    {
        const std::scoped_lock lock(mutex_);
        if (!new_list_) return;
        new_list_ = false;
        list = list_;
    }
    const Json kept = Json::object({{"version", list.version}, {"watches", list.watches}});
    if (auto done = platform::write_file(list_path(parts_.folder), dump_json(kept), 0600); !done) log::warning("files", "the list of watches is not kept: {}", done.error().what);
    std::vector<Watch> before = std::move(watches_);
    watches_.clear();
    for (const Json& one : list.watches.as_array()) {
        Watch watch;
        watch.trigger = one["trigger"].as_string();
        std::tie(watch.folder, watch.pattern) = split_pattern(one["path"].as_string());
        watch.settled = Milliseconds(std::clamp<std::int64_t>(one["settledMs"].as_integer(), 100, 3'600'000));
        const auto same = std::find_if(before.begin(), before.end(), [&](const Watch& old) { return old.trigger == watch.trigger && old.folder == watch.folder && old.pattern == watch.pattern; });
        if (same != before.end()) watch.settling = std::move(same->settling);
        watches_.push_back(std::move(watch));
    }
    for (const Watch& old : before)
        if (watching_ && std::none_of(watches_.begin(), watches_.end(), [&](const Watch& one) { return one.folder == old.folder; })) watching_->remove(old.folder);
    say_at_ = {};
}

Status FileEvents::note_down(Watch& watch, const std::vector<SeenFile>& files, SteadyTime now, SteadyTime& again)
{
    std::map<std::string, Watch::Found> settling;
    std::set<std::string> there;
    for (const SeenFile& file : files) {
        there.insert(file.identity());
        if (journal_->knows(watch.trigger, file)) continue;
        const auto known = watch.settling.find(file.path);
        const SteadyTime since = known != watch.settling.end() && known->second.file.identity() == file.identity() ? known->second.since : now;
        if (now - since < watch.settled) {
            again = std::min(again, since + watch.settled);
            settling[file.path] = {file, since};
            continue;
        }
        if (journal_->full()) return fail(Errc::too_large, fmt::format("{} files are remembered already: move those that are done elsewhere", FileJournal::kMost));
        if (auto added = journal_->add(watch.trigger, file); !added) return added;
    }
    watch.settling = std::move(settling);
    for (const FileJournal::Entry& entry : journal_->of(watch.trigger))
        if (entry.done && !there.contains(entry.file.identity()))
            if (auto gone = journal_->forget(entry); !gone) return gone;
    return journal_->sync();
}

SteadyTime FileEvents::look_at(Watch& watch, SteadyTime now)
{
    SteadyTime again = now + parts_.look;
    const auto look = [&]() -> Status {
        if (!is_within(watch.folder, parts_.allowed))
            return fail(Errc::denied, fmt::format("{} is not in 'watch' of this machine's policy.yaml", watch.folder));
        if (watching_)   // before the look: what comes afterwards is told
            if (auto added = watching_->add(watch.folder); !added && added.error().code == Errc::unavailable) log::debug("files", "{}; it is looked at every {}", added.error().what, format_duration(parts_.look));
        auto files = scan(watch.folder, watch.pattern);
        if (!files) return fail(std::move(files.error()));
        return note_down(watch, *files, now, again);
    };
    const Status looked = look();
    const std::string problem = looked ? std::string() : looked.error().what;
    if (problem != watch.problem) {
        if (problem.empty()) log::info("files", "trigger '{}': {} is watched", watch.trigger, watch.folder);
        else log::warning("files", "trigger '{}': {}", watch.trigger, problem);
        watch.problem = problem;
        say_at_ = {};
    }
    return again;
}

bool FileEvents::report_one(Watch& watch, const FileJournal::Entry& entry, std::stop_token stop)
{
    const SeenFile& file = entry.file;
    const Json body = Json::object({{"trigger", entry.trigger}, {"path", file.path}, {"inode", file.inode}, {"size", file.size}, {"modified", format_time(file.modified)}});
    Refusal refusal;
    const auto answer = parts_.factory.post(protocol::route::kFiles, dump_json(body), kAnswer, stop, &refusal);
    std::string refused;
    if (answer) {
        log::info("files", "{} of trigger '{}' is job {}", file.path, entry.trigger, (*answer)["job"].as_string());
    } else if (is_final(refusal)) {
        refused = fmt::format("{} started nothing: {}", file.path, answer.error().what);
        log::warning("files", "trigger '{}': {}", entry.trigger, refused);
    } else {
        if (!stop.stop_requested()) log::debug("files", "{} is reported later: {}", file.path, answer.error().what);
        const SteadyTime now = parts_.clock.steady();
        if (refusal.status == 0) {   // nobody answers: the others' files wait, too
            report_at_ = now + backoff_.next(refusal);
            return false;
        }
        watch.report_at = now + (refusal.status == 409 ? Milliseconds(kLater) : watch.backoff.next(refusal));   // 409: somebody has to resume it
        backoff_.reset();
        return true;
    }
    backoff_.reset();
    watch.backoff.reset();
    if (refused != watch.refused) say_at_ = {};
    watch.refused = std::move(refused);
    if (auto done = journal_->done(entry); !done) {
        log::error("files", "{}", done.error().what);
        return false;
    }
    return true;
}

void FileEvents::report(std::stop_token stop, Vitals::Loop* vital)
{
    if (parts_.clock.steady() < report_at_) return;
    for (Watch& watch : watches_) {
        if (parts_.clock.steady() < watch.report_at) continue;
        for (const FileJournal::Entry& entry : journal_->pending(watch.trigger, kAtOnce)) {
            if (stop.stop_requested()) return;
            if (vital != nullptr) vital->within(kAnswer * 4);
            if (!report_one(watch, entry, stop)) return;
            parts_.clock.sleep(kPace, stop);
            if (parts_.clock.steady() < watch.report_at) break;
        }
    }
    if (auto done = journal_->sync(); !done) log::error("files", "{}", done.error().what);
}

void FileEvents::say_standing(std::stop_token stop)
{
    Json list = Json::array();
    for (const Watch& watch : watches_) {
        Json one = Json::object({{"trigger", watch.trigger}});
        if (const std::string& problem = watch.problem.empty() ? watch.refused : watch.problem; !problem.empty()) one.set("problem", problem);
        list.push(std::move(one));
    }
    const std::string text = dump_json(Json::object({{"watches", std::move(list)}}));
    const SteadyTime now = parts_.clock.steady();
    if (now < say_at_ || (watches_.empty() && said_.empty())) return;
    const auto said = parts_.factory.post(protocol::route::kWatches, text, kAnswer, stop);
    say_at_ = now + (said ? Milliseconds(kSay) : Milliseconds(kLater));
    if (said) said_ = watches_.empty() ? std::string() : text;
}

void FileEvents::run(std::stop_token stop, Vitals::Loop* vital)
{
    auto journal = FileJournal::open(parts_.folder + "/files.journal");
    if (!journal) {
        log::error("files", "no file starts a job here: {}", journal.error().what);
        if (vital != nullptr) vital->bad(journal.error().what);
        return;
    }
    journal_ = std::move(*journal);
    auto watching = platform::watch_folders([this](const std::string& folder) { changed(folder); });
    if (watching) watching_ = std::move(*watching);
    else log::warning("files", "changes of folders are not seen at once: {}", watching.error().what);
    while (!stop.stop_requested()) {
        if (vital != nullptr) vital->within(kAnswer * 4);
        take_list();
        std::set<std::string> told;
        bool any = false;
        {
            const std::scoped_lock lock(mutex_);
            told.swap(changed_);
            any = std::exchange(any_changed_, false);
        }
        const SteadyTime now = parts_.clock.steady();
        for (Watch& watch : watches_)
            if (any || told.contains(watch.folder) || watch.next <= now) watch.next = look_at(watch, now);
        report(stop, vital);
        say_standing(stop);
        SteadyTime next = parts_.clock.steady() + parts_.look;
        for (const Watch& watch : watches_) {
            next = std::min(next, watch.next);
            if (!journal_->pending(watch.trigger, 1).empty()) next = std::min(next, std::max({report_at_, watch.report_at, parts_.clock.steady()}));
        }
        if (vital != nullptr) {
            vital->good();
            vital->idle();
        }
        const Milliseconds wait = std::max(Milliseconds(1), std::chrono::ceil<Milliseconds>(next - parts_.clock.steady()));
        std::unique_lock lock(mutex_);
        const bool woken = woken_.wait_for(lock, stop, wait, [&] { return new_list_ || any_changed_ || !changed_.empty(); });
        const bool only_changes = woken && !new_list_;
        lock.unlock();
        if (only_changes) parts_.clock.sleep(kGather, stop);
    }
    watching_.reset();
}

}  // namespace mill::agent
