#include "agent/desk.h"

#include <algorithm>
#include <utility>

namespace mill::agent {

void Desk::set_on_change(std::function<void()> on_change)
{
    const std::scoped_lock lock(mutex_);
    on_change_ = std::move(on_change);
}

void Desk::changed() const
{
    std::function<void()> told;
    {
        const std::scoped_lock lock(mutex_);
        told = on_change_;
    }
    if (told) told();
}

bool Desk::take(Holding holding)
{
    {
        const std::scoped_lock lock(mutex_);
        if (shut_locked() || held_.size() >= slots_) return false;
        held_.emplace(holding.id, std::move(holding));
    }
    some_held_.notify_all();
    return true;
}

void Desk::keep(Holding holding)
{
    {
        const std::scoped_lock lock(mutex_);
        held_.emplace(holding.id, std::move(holding));
    }
    some_held_.notify_all();
}

void Desk::release(const protocol::AttemptId& id)
{
    {
        const std::scoped_lock lock(mutex_);
        held_.erase(id);
    }
    changed();
}

bool Desk::holds(const protocol::AttemptId& id) const
{
    const std::scoped_lock lock(mutex_);
    return held_.contains(id);
}

std::vector<Holding> Desk::held() const
{
    const std::scoped_lock lock(mutex_);
    std::vector<Holding> out;
    for (const auto& [id, holding] : held_) out.push_back(holding);
    return out;
}

unsigned Desk::free() const
{
    const std::scoped_lock lock(mutex_);
    if (shut_locked() || held_.size() >= slots_) return 0;
    return slots_ - static_cast<unsigned>(held_.size());
}

bool Desk::shut_locked() const
{
    return closed_ || !disabled_.empty() || paused_locked() || resting_locked();
}

void Desk::rest(Milliseconds time, std::string why)
{
    {
        const std::scoped_lock lock(mutex_);
        rest_until_ = clock_.steady() + time;
        rest_why_ = std::move(why);
    }
    changed();
}

void Desk::pause(std::string words, std::optional<SteadyTime> until)
{
    {
        const std::scoped_lock lock(mutex_);
        pause_words_ = std::move(words);
        pause_until_ = until;
    }
    changed();
}

void Desk::resume()
{
    {
        const std::scoped_lock lock(mutex_);
        pause_words_.clear();
        pause_until_.reset();
    }
    changed();
}

void Desk::disable(std::string why)
{
    {
        const std::scoped_lock lock(mutex_);
        disabled_ = std::move(why);
    }
    changed();
}

std::string Desk::unable() const
{
    const std::scoped_lock lock(mutex_);
    if (closed_) return "the agent is stopping";
    if (!disabled_.empty()) return disabled_;
    if (paused_locked()) return pause_words_;
    return resting_locked() ? rest_why_ : std::string();
}

std::optional<Milliseconds> Desk::resting() const
{
    const std::scoped_lock lock(mutex_);
    std::optional<SteadyTime> until;
    if (resting_locked()) until = rest_until_;
    if (paused_locked()) {
        if (!pause_until_) return std::nullopt;
        until = until ? std::max(*until, *pause_until_) : *pause_until_;
    }
    if (!until) return std::nullopt;
    return std::chrono::ceil<Milliseconds>(*until - clock_.steady());
}

void Desk::close()
{
    {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
    }
    changed();
}

void Desk::answer(OfferAnswer answer)
{
    {
        const std::scoped_lock lock(mutex_);
        answers_.push_back(std::move(answer));
    }
    changed();
}

std::vector<OfferAnswer> Desk::take_answers()
{
    const std::scoped_lock lock(mutex_);
    return std::exchange(answers_, {});
}

bool Desk::has_answers() const
{
    const std::scoped_lock lock(mutex_);
    return !answers_.empty();
}

bool Desk::wait_held(std::stop_token stop)
{
    std::unique_lock lock(mutex_);
    return some_held_.wait(lock, stop, [&] { return !held_.empty(); });
}

}  // namespace mill::agent
