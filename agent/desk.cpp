#include "agent/desk.h"

#include <algorithm>
#include <utility>

namespace mill::agent {
namespace {

constexpr std::chrono::seconds kTurnKept{2};  // for a factory that was turned away: a poll and its answer take less

}  // namespace

unsigned Slots::taken() const
{
    const std::scoped_lock lock(mutex_);
    return taken_locked();
}

unsigned Slots::free() const
{
    const std::scoped_lock lock(mutex_);
    return unable_locked().empty() ? total_ - std::min(total_, taken_locked()) : 0;
}

unsigned Slots::taken_locked() const
{
    std::size_t run = 0, wait = 0;
    for (const Desk* desk : desks_)
        for (const auto& [id, holding] : desk->held_) ++(holding.waiting ? wait : run);
    return static_cast<unsigned>(run + wait - std::min<std::size_t>(wait, most_waiting_));
}

void Slots::set(const std::function<void()>& change)
{
    {
        const std::scoped_lock lock(mutex_);
        change();
    }
    changed();
}

/// Not under the lock: what is told asks the desk again.
void Slots::changed() const
{
    std::vector<std::function<void()>> told;
    {
        const std::scoped_lock lock(mutex_);
        for (const Desk* desk : desks_)
            if (desk->on_change_) told.push_back(desk->on_change_);
    }
    for (const auto& tell : told) tell();
}

void Slots::pause(std::string words, std::optional<SteadyTime> until)
{
    set([&] {
        pause_words_ = std::move(words);
        pause_until_ = until;
    });
}

void Slots::resume()
{
    set([&] {
        pause_words_.clear();
        pause_until_.reset();
    });
}

void Slots::let_wait(unsigned most)
{
    set([&] { most_waiting_ = most; });
}

void Slots::disable(std::string why)
{
    set([&] { disabled_ = std::move(why); });
}

void Slots::short_of(std::string why)
{
    {
        const std::scoped_lock lock(mutex_);
        if (std::exchange(short_of_, std::move(why)).empty() == short_of_.empty()) return;
    }
    changed();
}

void Slots::close()
{
    set([&] { closed_ = true; });
}

std::string Slots::unable() const
{
    const std::scoped_lock lock(mutex_);
    return unable_locked();
}

std::string Slots::unable_locked() const
{
    if (closed_) return "the agent is stopping";
    if (!disabled_.empty()) return disabled_;
    return paused_locked() ? pause_words_ : short_of_;
}

Desk::Desk(Slots& slots) : slots_(slots)
{
    const std::scoped_lock lock(slots_.mutex_);
    slots_.desks_.push_back(this);
}

Desk::~Desk()
{
    const std::scoped_lock lock(slots_.mutex_);
    std::erase(slots_.desks_, this);
}

void Desk::set_on_change(std::function<void()> on_change)
{
    const std::scoped_lock lock(slots_.mutex_);
    on_change_ = std::move(on_change);
}

void Desk::changed() const
{
    std::function<void()> told;
    {
        const std::scoped_lock lock(slots_.mutex_);
        told = on_change_;
    }
    if (told) told();
}

bool Desk::take(Holding holding)
{
    {
        const std::scoped_lock lock(slots_.mutex_);
        // Keeper and broker know an attempt by its name alone.
        for (const Desk* other : slots_.desks_)
            if (other != this && other->held_.contains(holding.id)) return false;
        if (!held_.contains(holding.id)) {
            if (!slots_.unable_locked().empty() || resting_locked()) return false;
            if (free_locked() == 0) {
                waits_until_ = slots_.clock_.steady() + kTurnKept;
                return false;
            }
            waits_until_.reset();
        }
        held_.emplace(holding.id, std::move(holding));
    }
    some_held_.notify_all();
    return true;
}

void Desk::keep(Holding holding)
{
    {
        const std::scoped_lock lock(slots_.mutex_);
        held_.emplace(holding.id, std::move(holding));
    }
    some_held_.notify_all();
}

void Desk::release(const protocol::AttemptId& id)
{
    {
        const std::scoped_lock lock(slots_.mutex_);
        held_.erase(id);
    }
    slots_.changed();
}

void Desk::set_waiting(const protocol::AttemptId& id, bool waiting)
{
    {
        const std::scoped_lock lock(slots_.mutex_);
        const auto found = held_.find(id);
        if (found == held_.end() || std::exchange(found->second.waiting, waiting) == waiting) return;
    }
    slots_.changed();
}

void Desk::is_known(const protocol::AttemptId& id)
{
    const std::scoped_lock lock(slots_.mutex_);
    if (const auto found = held_.find(id); found != held_.end()) found->second.begun_here = false;
}

bool Desk::holds(const protocol::AttemptId& id) const
{
    const std::scoped_lock lock(slots_.mutex_);
    return held_.contains(id);
}

std::vector<Holding> Desk::held() const
{
    const std::scoped_lock lock(slots_.mutex_);
    std::vector<Holding> out;
    for (const auto& [id, holding] : held_) out.push_back(holding);
    return out;
}

std::pair<unsigned, std::optional<SteadyTime>> Desk::kept_for_others_locked() const
{
    if (waits_locked()) return {};  // whose turn it is, too
    unsigned kept = 0;
    std::optional<SteadyTime> until;
    for (const Desk* other : slots_.desks_) {
        if (other == this || !other->waits_locked()) continue;
        ++kept;
        until = until ? std::min(*until, *other->waits_until_) : *other->waits_until_;
    }
    return {kept, until};
}

unsigned Desk::free_locked() const
{
    const unsigned taken = slots_.taken_locked() + kept_for_others_locked().first;
    return slots_.total_ - std::min(slots_.total_, taken);
}

unsigned Desk::free() const
{
    const std::scoped_lock lock(slots_.mutex_);
    return slots_.unable_locked().empty() && !resting_locked() ? free_locked() : 0;
}

void Desk::rest(Milliseconds time, std::string why)
{
    {
        const std::scoped_lock lock(slots_.mutex_);
        rest_until_ = slots_.clock_.steady() + time;
        rest_why_ = std::move(why);
    }
    changed();
}

std::string Desk::unable() const
{
    const std::scoped_lock lock(slots_.mutex_);
    std::string machine = slots_.unable_locked();
    if (!machine.empty()) return machine;
    return resting_locked() ? rest_why_ : std::string();
}

std::optional<Milliseconds> Desk::resting() const
{
    const std::scoped_lock lock(slots_.mutex_);
    if (slots_.paused_locked() && !slots_.pause_until_) return std::nullopt;
    std::optional<SteadyTime> until;
    if (resting_locked()) until = rest_until_;
    if (slots_.paused_locked()) until = until ? std::max(*until, *slots_.pause_until_) : *slots_.pause_until_;
    if (!until && slots_.taken_locked() < slots_.total_) until = kept_for_others_locked().second;
    if (!until) return std::nullopt;
    return std::chrono::ceil<Milliseconds>(*until - slots_.clock_.steady());
}

void Desk::answer(OfferAnswer answer)
{
    {
        const std::scoped_lock lock(slots_.mutex_);
        answers_.push_back(std::move(answer));
    }
    changed();
}

std::vector<OfferAnswer> Desk::take_answers()
{
    const std::scoped_lock lock(slots_.mutex_);
    return std::exchange(answers_, {});
}

bool Desk::has_answers() const
{
    const std::scoped_lock lock(slots_.mutex_);
    return !answers_.empty();
}

bool Desk::wait_held(std::stop_token stop)
{
    std::unique_lock lock(slots_.mutex_);
    return some_held_.wait(lock, stop, [&] { return !held_.empty(); });
}

}  // namespace mill::agent
