// Any bytes as a file that an agent of before, or a disk that failed, left behind; its first line says which. It is read or refused with words; what was
// read is written and read again as the same; and nothing begins because of it that nobody said.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <unistd.h>

#include <fmt/format.h>

#include "agent/files/file_journal.h"
#include "agent/person/at_person.h"
#include "agent/waiting_runs.h"
#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/crypto.h"
#include "platform/files.h"

using namespace mill;
using namespace mill::agent;

namespace {

const FakeClock kClock({1'795'000'000'000'000});   // 2026-11

std::string emptied_folder()
{
    static const std::string folder = fmt::format("{}/mill-fuzz-files-{}", std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp", ::getpid());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    return folder;
}

void put(const std::string& path, std::string_view bytes) { check(platform::write_file(path, bytes, 0600).has_value(), "the file is there"); }

void launches(const std::string& path)
{
    Launches first(path, kClock);
    // Given up in their turn: too old, or somebody else's.
    const auto next = first.front("anna");
    check(!next || (!next->id.empty() && next->asked + Launches::kLife > kClock.now() && (next->user.empty() || next->user == "anna")), "what is handed over is this person's, and of today");
    check(first.failed().size() <= Launches::kShown, "no more is shown than there is room for");
    if (next) first.expect(*next);
    const auto kept = first.add({"fuzz-1", "t", "T", Json::object({{"a", 1}}), kClock.now(), "anna"});
    check(kept.has_value() || !kept.error().what.empty(), "one more waits, or words say why not");
    if (!kept) return;
    Launches second(path, kClock);
    check(second.waiting() == first.waiting(), "the same waits after a restart");
    check(second.failed() == first.failed(), "the same is shown as refused");
    check(second.is_mine("job-1") == first.is_mine("job-1"), "the same is mine");
}

void consents(const std::string& path)
{
    Consents first(path, {}, kClock);
    check(!first.may_begin() && first.granted().empty(), "nothing begins before the factory offers it again");
    const Json shown = first.list();
    for (const Json& each : shown.as_array()) check(protocol::AttemptId::from_key(each["id"].as_string()).has_value(), "what is asked about has a name");
    (void)first.expire();
    (void)first.next();
    if (shown.size() > 0) (void)first.choose(shown[std::size_t{0}]["id"].as_string(), "now", "anna");
    (void)first.postpone("anna");
    if (shown.size() == 0) return;   // nothing was written
    Consents second(path, {}, kClock);
    check(second.list() == first.list() && second.next() == first.next(), "the same is asked after a restart");
    check(!second.may_begin(), "and nothing begins");
}

void person(const std::string& folder)
{
    Slots slots{1, kClock};
    Desk desk{slots};
    Changes changes{kClock.now()};
    AtPerson one(AtPerson::Parts{folder, {}, desk, kClock, changes, [] { return Json(); }, [] { return Json(); }});
    const Json view = one.view();
    check(view["questions"].is_array() && view["questions"].empty(), "no question is open that nobody asked since");
    check(view["launchable"].is_array() && view["jobs"].is_array() && view["user"].is_string(), "what is shown has its form");
    for (const Json& each : view["launchable"].as_array()) check(each.is_object(), "so have its rows");
    check(!one.may_begin() && !one.is_online(), "nothing begins");
}

/// The content with the sum that belongs to it, and then as it is.
void waiting(const std::string& folder, std::string_view content)
{
    const protocol::AttemptId id{"0192-job", 1, 1};
    const std::string path = folder + "/" + to_hex(platform::sha256(id.key())).substr(0, 32);
    WaitingRuns runs(folder);
    for (const bool summed : {true, false}) {
        put(path, summed ? to_hex(platform::sha256(content)) + std::string(content) : std::string(content));
        const auto found = runs.find(id);
        if (!found) continue;
        check(found->snapshot.is_object(), "what a run goes on from is an object");
        check(runs.keep(id, *found).has_value(), "it is kept again");
        const auto again = runs.find(id);
        check(again && again->after == found->after && again->snapshot == found->snapshot, "and the same");
        check(!runs.find({"0192-job", 1, 2}), "another attempt has none");
        check(runs.forget(id).has_value() && !runs.find(id), "what is forgotten is gone");
    }
}

void journal(const std::string& path)
{
    auto first = FileJournal::open(path);
    if (!first) return check(!first.error().what.empty() && first.error().what.find(path) != std::string::npos, "a refusal names the file");
    const SeenFile file{"/in/a.csv", 7, 8, {9}};
    const bool knew = (*first)->knows("t", file);
    const std::size_t before = (*first)->size();
    check((*first)->add("t", file).has_value() && (*first)->sync().has_value() && (*first)->size() == before + (knew ? 0 : 1), "one more is noted down");
    auto pending = (*first)->pending("t", 100);
    check(!pending.empty() || before >= 100, "and is to be reported");
    for (const auto& each : pending) check(each.trigger == "t" && !each.done, "of its trigger");
    auto second = FileJournal::open(path);
    check(second.has_value() && (*second)->size() == (*first)->size() && (*second)->knows("t", file), "the same is known after a restart");
    for (const auto& each : (*first)->of("t")) check((*second)->knows("t", each.file), "each of them");
    if (pending.empty()) return;
    check((*second)->done(pending.front()).has_value(), "one of them is done");
    const auto left = (*second)->pending("t", 200'000);
    check(std::none_of(left.begin(), left.end(), [&](const auto& each) { return each.file.identity() == pending.front().file.identity(); }), "what is done is not reported");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 16 * 1024) return 0;
    static const bool quiet = [] { log::start("fuzz", log::Level::error); log::set_level(log::Level::error); return true; }();
    (void)quiet;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string_view which = text.substr(0, text.find('\n')), content = text.substr(std::min(which.size() + 1, text.size()));
    const std::string folder = emptied_folder();
    if (which == "launches") {
        put(folder + "/launches.json", content);
        launches(folder + "/launches.json");
    } else if (which == "consents") {
        put(folder + "/consents.json", content);
        consents(folder + "/consents.json");
    } else if (which == "person") {
        put(folder + "/person.json", content);
        person(folder);
    } else if (which == "waiting") {
        waiting(folder, content);
    } else if (which == "files") {
        put(folder + "/files", content);
        journal(folder + "/files");
    }
    return 0;
}
