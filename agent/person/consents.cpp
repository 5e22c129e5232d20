#include "agent/person/consents.h"

#include <algorithm>

#include <fmt/format.h>

#include "agent/person/does.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/base/log.h"
#include "platform/crypto.h"
#include "platform/files.h"
#include "platform/local_time.h"

namespace mill::agent {
namespace {

using Word = Beside::Word;

constexpr std::chrono::minutes kLater{10};
constexpr std::chrono::hours kNever{24}, kKept{24};
constexpr std::size_t kMostText = 500, kMost = 200;

std::string cut(const std::string& text) { return text.substr(0, kMostText); }

Consents::Verdict declined(std::string choice, std::string by, WallTime until, std::string why)
{
    return {Word::declined, std::move(choice), std::move(by), until, std::move(why)};
}

}  // namespace

std::string mark_of(const protocol::Offer& offer)
{
    const Json all = Json::array({offer.package_digest, offer.workflow, offer.trigger, offer.environment, offer.run_as, protocol::to_json(offer.permissions), offer.credentials, offer.variables, offer.input});
    return to_hex(platform::sha256(dump_json(all)));
}

std::string words_of_choice(const std::string& choice, const std::string& by)
{
    const std::string who = by.empty() ? "the person at this desktop" : by;
    if (choice == "later") return who + " said: in ten minutes";
    if (choice == "not_today") return who + " said: not today";
    if (choice == "none") return who + " was asked and did not answer";
    return who + " said: now";
}

Consents::Consents(std::string path, PersonRules rules, const Clock& clock) : path_(std::move(path)), rules_(std::move(rules)), clock_(clock) { load(); }

void Consents::begun(const std::function<bool(const protocol::AttemptId&)>& known)
{
    const std::scoped_lock lock(mutex_);
    for (auto& [key, entry] : entries_) entry.taken = entry.choice == "now" && known(entry.id);
}

Consents::Verdict Consents::verdict_of(const Entry& entry)
{
    if (entry.choice.empty()) return {Word::asking, "", entry.by, entry.until};
    if (entry.choice == "now") return {Word::granted, "now", entry.by};
    return declined(entry.choice, entry.by, entry.again, words_of_choice(entry.choice, entry.by));
}

Consents::Verdict Consents::hear(const protocol::Offer& offer, const Json& said)
{
    const std::scoped_lock lock(mutex_);
    const WallTime now = clock_.now();
    if (const auto known = entries_.find(offer.id.key()); known != entries_.end() && known->second.mark == mark_of(offer)) {
        Entry& entry = known->second;
        if (entry.choice.empty()) entry.offer = said;
        entry.expected = false;
        if (entry.choice.empty() && entry.until <= now) {   // its time passed while no agent ran
            settle_locked(entry, "none", "");
            if (auto saved = save_locked(); !saved) log::warning("person", "that nobody answered is not written down: {}", saved.error().what);
        }
        if (entry.choice == "now") entry.taken = true;
        return verdict_of(entry);
    }
    return ask_locked(offer, said);
}

/// A job of which nothing was said, or something that was shown otherwise.
Consents::Verdict Consents::ask_locked(const protocol::Offer& offer, const Json& said)
{
    const WallTime now = clock_.now();
    entries_.erase(offer.id.key());
    if (rules_.jobs == PersonRules::Jobs::never) return declined("none", "policy.yaml", now + kNever, "policy.yaml of this machine takes no jobs that others start: consent: { jobs: never }");
    if (const auto quiet = quiet_until(rules_.quiet, now))
        return declined("none", "policy.yaml", *quiet, fmt::format("quiet hours of this desktop until {} (quietHours in policy.yaml)", format_time(*quiet)));
    if (rules_.jobs == PersonRules::Jobs::always) return {Word::granted, "always", "policy.yaml"};
    if (const auto before = said_.find(offer.trigger); before != said_.end() && before->second.again > now)
        return declined(before->second.choice, before->second.by, before->second.again, words_of_choice(before->second.choice, before->second.by));
    const Json& asked = said["consent"];
    Entry entry;
    entry.id = offer.id;
    entry.trigger = offer.trigger;
    entry.title = cut(asked["title"].as_string().empty() ? offer.trigger : asked["title"].as_string());
    entry.description = cut(asked["description"].as_string());
    entry.asker = cut(asked["asker"].as_string().empty() ? "somebody at the factory" : asked["asker"].as_string());
    entry.mark = mark_of(offer);
    entry.does = agent::to_json(does(offer.permissions));
    if (asked["expectedMs"].is_integer()) entry.expected_ms = asked["expectedMs"];
    entry.asked = now;
    entry.until = now + rules_.within;
    entry.offer = said;
    const auto verdict = verdict_of(entries_[offer.id.key()] = std::move(entry));
    // Without the record a restart asks once more, and that is all.
    if (auto saved = save_locked(); !saved) log::warning("person", "{}: asked about, and not written down: {}", offer.id.key(), saved.error().what);
    return verdict;
}

Consents::Settled Consents::settle_locked(Entry& entry, std::string choice, std::string by)
{
    const WallTime now = clock_.now();
    entry.choice = std::move(choice);
    entry.by = std::move(by);
    entry.again = entry.choice == "not_today" ? platform::next_day(now) : now + kLater;
    if (entry.choice != "now") said_[entry.trigger] = {entry.choice, entry.by, entry.again};
    return {entry.id, entry.choice, entry.by, entry.again, !entry.offer.is_null()};
}

void Consents::unsettle_locked(Entry& entry)
{
    if (entry.choice != "now") said_.erase(entry.trigger);
    entry.choice.clear();
    entry.by.clear();
}

Result<Consents::Settled> Consents::choose(const std::string& id, const std::string& choice, const std::string& by)
{
    if (choice != "now" && choice != "later" && choice != "not_today") return fail(Errc::invalid, "'choice' is now, later or not_today");
    const std::scoped_lock lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return fail(Errc::not_found, "nobody asks about this job (any more)");
    Entry& entry = found->second;
    if (entry.choice.empty() && entry.until <= clock_.now()) return fail(Errc::timeout, "its time to be asked is over");
    if (entry.choice == "none") return fail(Errc::timeout, "its time to be asked is over");
    if (!entry.choice.empty()) return fail(Errc::conflict, words_of_choice(entry.choice, entry.by));
    Settled out = settle_locked(entry, choice, by);
    if (auto saved = save_locked(); !saved) {
        unsettle_locked(entry);
        return fail(saved.error());
    }
    return out;
}

std::vector<Consents::Settled> Consents::expire()
{
    const std::scoped_lock lock(mutex_);
    const WallTime now = clock_.now();
    std::vector<Settled> out;
    for (auto& [key, entry] : entries_)
        if (entry.choice.empty() && entry.until <= now) out.push_back(settle_locked(entry, "none", ""));
    if (out.empty()) return out;
    if (auto saved = save_locked(); !saved) log::warning("person", "that nobody answered is not written down: {}", saved.error().what);
    return out;
}

std::optional<WallTime> Consents::next() const
{
    const std::scoped_lock lock(mutex_);
    std::optional<WallTime> out;
    for (const auto& [key, entry] : entries_)
        if (entry.choice.empty() && (!out || entry.until < *out)) out = entry.until;
    return out;
}

void Consents::expect_again()
{
    const std::scoped_lock lock(mutex_);
    for (auto& [key, entry] : entries_) entry.expected = true;
}

std::optional<Consents::Verdict> Consents::refresh(const protocol::AttemptId& id, const Json& said)
{
    const std::scoped_lock lock(mutex_);
    const auto found = entries_.find(id.key());
    if (found == entries_.end() || found->second.taken || !found->second.expected) return std::nullopt;
    const auto offer = protocol::parse_offer(said);
    if (!offer) return std::nullopt;
    if (found->second.mark != mark_of(*offer)) return ask_locked(*offer, said);
    found->second.expected = false;
    found->second.offer = said;
    return verdict_of(found->second);
}

std::vector<Consents::Granted> Consents::granted()
{
    const std::scoped_lock lock(mutex_);
    std::vector<Granted> out;
    for (auto& [key, entry] : entries_) {
        if (!may_begin(entry)) continue;
        entry.taken = true;
        out.push_back({entry.id, entry.by, std::exchange(entry.offer, Json())});
    }
    return out;
}

std::vector<Consents::Settled> Consents::postpone(const std::string& by)
{
    const std::scoped_lock lock(mutex_);
    std::vector<Settled> out;
    for (auto& [key, entry] : entries_)
        if (entry.choice.empty() || (entry.choice == "now" && !entry.taken)) out.push_back(settle_locked(entry, "later", by));
    if (out.empty()) return out;
    if (auto saved = save_locked(); !saved) log::warning("person", "that it is for later is not written down: {}", saved.error().what);
    return out;
}

bool Consents::may_begin() const
{
    const std::scoped_lock lock(mutex_);
    return std::any_of(entries_.begin(), entries_.end(), [](const auto& each) { return may_begin(each.second); });
}

std::optional<Json> Consents::withdrawn(const protocol::AttemptId& id)
{
    const std::scoped_lock lock(mutex_);
    const auto found = entries_.find(id.key());
    const bool begun = found != entries_.end() && (found->second.taken || (!found->second.choice.empty() && found->second.choice != "now"));
    if (found == entries_.end() || begun) return std::nullopt;
    Json offer = std::move(found->second.offer);
    entries_.erase(found);
    if (auto saved = save_locked(); !saved) log::warning("person", "{}", saved.error().what);
    return offer.is_null() ? std::nullopt : std::optional<Json>(std::move(offer));
}

Json Consents::list() const
{
    const std::scoped_lock lock(mutex_);
    std::vector<const Entry*> open;
    for (const auto& [key, entry] : entries_)
        if (entry.choice.empty() && entry.until > clock_.now()) open.push_back(&entry);
    std::sort(open.begin(), open.end(), [](const Entry* a, const Entry* b) { return a->until < b->until; });
    Json out = Json::array();
    for (const Entry* entry : open) {
        Json words = Json::array();
        for (const Json& deed : entry->does.as_array()) words.push(deed["text"]);
        out.push(Json::object({{"id", entry->id.key()}, {"job", entry->id.job}, {"title", entry->title}, {"description", entry->description}, {"asker", entry->asker},
                               {"trigger", entry->trigger}, {"does", std::move(words)}, {"deeds", entry->does}, {"expectedMs", entry->expected_ms},
                               {"asked", format_time(entry->asked)}, {"until", format_time(entry->until)}, {"choices", Json::array({"now", "later", "not_today"})}}));
    }
    return out;
}

Json Consents::to_json(const Entry& entry)
{
    Json out = protocol::to_json(entry.id);
    out.set("trigger", entry.trigger).set("title", entry.title).set("description", entry.description).set("asker", entry.asker).set("does", entry.does).set("expectedMs", entry.expected_ms);
    out.set("mark", entry.mark).set("asked", format_time(entry.asked)).set("until", format_time(entry.until));
    if (!entry.choice.empty()) out.set("choice", entry.choice).set("by", entry.by).set("again", format_time(entry.again));
    return out;
}

Status Consents::save_locked()
{
    const WallTime now = clock_.now();
    std::erase_if(said_, [&](const auto& each) { return each.second.again <= now; });
    std::erase_if(entries_, [&](const auto& each) { return !each.second.choice.empty() && each.second.until + kKept <= now; });
    while (entries_.size() > kMost) {   // the oldest that was answered
        auto oldest = entries_.end();
        for (auto at = entries_.begin(); at != entries_.end(); ++at)
            if (!at->second.choice.empty() && (oldest == entries_.end() || at->second.asked < oldest->second.asked)) oldest = at;
        if (oldest == entries_.end()) break;
        entries_.erase(oldest);
    }
    Json asked = Json::array(), said = Json::array();
    for (const auto& [key, entry] : entries_) asked.push(to_json(entry));
    for (const auto& [trigger, answer] : said_) said.push(Json::object({{"trigger", trigger}, {"choice", answer.choice}, {"by", answer.by}, {"again", format_time(answer.again)}}));
    return platform::write_file(path_, dump_json(Json::object({{"asked", std::move(asked)}, {"said", std::move(said)}})) + "\n", 0600);
}

void Consents::load()
{
    auto text = platform::read_file(path_, 4 * 1024 * 1024);
    if (!text && text.error().code == Errc::not_found) return;
    auto json = text ? parse_json(*text) : Result<Json>(fail(text.error()));
    if (!json) return log::warning("person", "{}: {}; what it held is asked about again", path_, json.error().what);
    const auto time = [](const Json& item, std::string_view key) { return parse_time(item[key].as_string()).value_or(WallTime{}); };
    for (const Json& item : (*json)["asked"].as_array()) {
        auto id = protocol::parse_attempt_id(item);
        if (!id) continue;
        Entry entry;
        entry.id = *id;
        entry.trigger = item["trigger"].as_string();
        entry.title = item["title"].as_string();
        entry.description = item["description"].as_string();
        entry.asker = item["asker"].as_string();
        entry.does = item["does"];
        entry.expected_ms = item["expectedMs"];
        entry.mark = item["mark"].as_string();
        entry.asked = time(item, "asked");
        entry.until = time(item, "until");
        entry.choice = item["choice"].as_string();
        entry.by = item["by"].as_string();
        entry.again = time(item, "again");
        entries_[id->key()] = std::move(entry);
    }
    for (const Json& item : (*json)["said"].as_array()) said_[item["trigger"].as_string()] = {item["choice"].as_string(), item["by"].as_string(), time(item, "again")};
}

}  // namespace mill::agent
