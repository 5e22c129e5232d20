#include "factory/agents/admissions.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/crypto.h"

namespace mill::factory {
namespace {

constexpr std::string_view kCodeAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
static_assert(kCodeAlphabet.size() == 32);
constexpr std::size_t kCodeLength = 8;
constexpr Milliseconds kEarly{200};   // of clocks and the network's pace

Error over()
{
    return {Errc::not_found, "this request is not known (any more): it ran out, or the factory was started anew; ask again"};
}

}  // namespace

std::string make_user_code()
{
    std::string code;
    for (const char c : random_bytes(kCodeLength)) {
        if (code.size() == kCodeLength / 2) code += '-';
        code += kCodeAlphabet[static_cast<unsigned char>(c) % kCodeAlphabet.size()];   // 256 = 8 * 32: even
    }
    return code;
}

std::string normal_user_code(std::string_view typed)
{
    std::string code;
    if (typed.size() > 40) return {};
    for (char c : typed) {
        if (c == '-' || c == ' ') continue;
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        if (kCodeAlphabet.find(c) == std::string_view::npos) return {};
        if (code.size() == kCodeLength / 2) code += '-';
        code += c;
    }
    return code.size() == kCodeLength + 1 ? code : std::string();
}

void Admissions::drop_old()
{
    const WallTime now = clock_.now();
    std::erase_if(by_id_, [&](const auto& item) { return item.second.expires <= now; });
    const SteadyTime minute_ago = clock_.steady() - std::chrono::minutes(1);
    const auto over = [&](const auto& item) { return item.second.empty() || item.second.back() < minute_ago; };
    std::erase_if(asked_, over);
    std::erase_if(wrong_, over);
}

/// One more now, unless there were `most` in the last minute.
bool Admissions::within(std::deque<SteadyTime>& times, std::size_t most)
{
    const SteadyTime now = clock_.steady();
    while (!times.empty() && times.front() < now - std::chrono::minutes(1)) times.pop_front();
    if (times.size() >= most) return false;
    times.push_back(now);
    return true;
}

Status Admissions::knock(const std::string& address)
{
    const std::scoped_lock lock(mutex_);
    drop_old();
    constexpr std::size_t most_addresses = 10'000;   // kept for a minute each
    const bool room = asked_.size() < most_addresses || asked_.contains(address);
    if (room && within(asked_[address], kAsksPerMinute)) return {};
    return fail(Errc::unavailable, fmt::format("more than {} requests in a minute from this address: try again in a minute", kAsksPerMinute));
}

Result<Admission> Admissions::ask(Admission wish)
{
    const std::scoped_lock lock(mutex_);
    drop_old();
    const auto is_open = [](const Admission& known) { return known.state == Admission::State::waiting || known.state == Admission::State::deciding; };
    std::size_t here = 0, open = 0;
    for (auto at = by_id_.begin(); at != by_id_.end();) {
        Admission& known = at->second;
        const bool same_key = known.public_key == wish.public_key && is_open(known);
        const bool same_wish = known.name == wish.name && known.environment == wish.environment && known.mode == wish.mode;
        if (same_key && (same_wish || known.state == Admission::State::deciding)) {
            known.facts = std::move(wish.facts);
            known.address = std::move(wish.address);
            known.interval = kInterval;
            known.next_poll = clock_.steady();
            return known;
        }
        if (same_key) {   // what an administrator has read is not what it asks for any more
            at = by_id_.erase(at);
            continue;
        }
        open += is_open(known) ? 1 : 0;
        here += is_open(known) && known.address == wish.address ? 1 : 0;
        ++at;
    }
    // Those that are decided are kept to be told so; a flood of them makes way, the oldest first.
    for (auto at = by_id_.begin(); at != by_id_.end() && by_id_.size() >= 10 * kMost;) at = is_open(at->second) ? std::next(at) : by_id_.erase(at);
    if (open >= kMost)
        return fail(Errc::unavailable, fmt::format("{} machines wait to be admitted already, more are not taken: an administrator decides (`millwright agents requests`)", kMost));
    if (here >= kPerAddress)
        return fail(Errc::unavailable, fmt::format("{} machines of this address ask to be admitted already, more are not taken: an administrator decides (`millwright agents requests`)", kPerAddress));
    wish.id = new_uid();
    const auto taken = [&](const std::string& code) {
        return std::any_of(by_id_.begin(), by_id_.end(), [&](const auto& item) { return item.second.code == code; });
    };
    do wish.code = make_user_code();
    while (taken(wish.code));
    wish.challenge = to_base64(random_bytes(32));
    wish.created = clock_.now();
    wish.expires = wish.created + kLife;
    wish.interval = kInterval;
    wish.next_poll = clock_.steady();
    return by_id_.emplace(wish.id, wish).first->second;
}

Result<Admission> Admissions::find(const std::string& id)
{
    const std::scoped_lock lock(mutex_);
    drop_old();
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return fail(over());
    return found->second;
}

Result<Admission> Admissions::poll(const std::string& id)
{
    const std::scoped_lock lock(mutex_);
    drop_old();
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return fail(over());
    Admission& known = found->second;
    const SteadyTime now = clock_.steady();
    const bool early = now + kEarly < known.next_poll;
    if (early) known.interval = std::min(known.interval + kSlower, kSlowest);   // RFC 8628, 3.5: slow_down; bounded, since a captured poll can be said again
    known.next_poll = now + known.interval;
    if (early) return fail(Errc::unavailable, fmt::format("asked too often: once in {} is enough", format_duration(known.interval)));
    return known;
}

std::vector<Admission> Admissions::waiting()
{
    const std::scoped_lock lock(mutex_);
    drop_old();
    std::vector<Admission> out;
    for (const auto& [id, known] : by_id_)   // a version 7 id sorts by time
        if (known.state == Admission::State::waiting) out.push_back(known);
    return out;
}

Result<Admission> Admissions::by_code(std::string_view typed, const std::string& address)
{
    const std::string code = normal_user_code(typed);
    const std::scoped_lock lock(mutex_);
    drop_old();
    // Guesses are counted before they are compared: else the last one of a minute could still hit. Somebody elsewhere does not have to wait for one who
    // guesses; but that many at once guess together.
    const bool room = wrong_.size() < kGuessersMost || wrong_.contains(address);
    if (!room || !within(wrong_[address], kGuessesPerMinute))
        return fail(Errc::unavailable, fmt::format("too many codes that nobody waits with{}: try again in a minute", room ? " from this address" : ""));
    for (const auto& [id, known] : by_id_) {
        if (code.empty() || !platform::equal_constant_time(known.code, code)) continue;
        wrong_[address].pop_back();
        if (known.state == Admission::State::waiting) return known;
        if (known.state == Admission::State::deciding) return fail(Errc::conflict, fmt::format("somebody else decides about {} at this moment", known.code));
        return fail(Errc::conflict, fmt::format("the request {} is decided already: it was {}", known.code, known.state == Admission::State::refused ? "refused" : "admitted"));
    }
    return fail(Errc::not_found, fmt::format("nobody waits with the code '{}': `millwright agents requests` lists who does; a code lives for {}",
                                             code.empty() ? std::string(typed.substr(0, 40)) : code, format_duration(kLife)));
}

bool Admissions::decide(const std::string& id)
{
    const std::scoped_lock lock(mutex_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end() || found->second.state != Admission::State::waiting) return false;
    found->second.state = Admission::State::deciding;
    return true;
}

void Admissions::undecided(const std::string& id)
{
    const std::scoped_lock lock(mutex_);
    const auto found = by_id_.find(id);
    if (found != by_id_.end() && found->second.state == Admission::State::deciding) found->second.state = Admission::State::waiting;
}

void Admissions::admitted(const std::string& id, const std::string& agent)
{
    const std::scoped_lock lock(mutex_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return;
    found->second.state = Admission::State::admitted;
    found->second.agent = agent;
    found->second.facts = {};   // up to 64 KiB that nobody asks for any more
}

void Admissions::refused(const std::string& id, std::string why)
{
    const std::scoped_lock lock(mutex_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return;
    found->second.state = Admission::State::refused;
    found->second.why = std::move(why);
    found->second.facts = {};
}

}  // namespace mill::factory
