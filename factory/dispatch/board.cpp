#include "factory/dispatch/board.h"

#include <algorithm>
#include <utility>

namespace mill::factory::dispatch {

void Board::stir_all()
{
    ++revision_;
    for (const auto& [used, key] : free_) stirred_agents_.insert(key);
}

void Board::put_environment(Environment environment)
{
    environments_[environment.name] = std::move(environment);
    unpark_all();   // a lock may have more slots now
    stir_all();
}

void Board::remove_environment(const std::string& name)
{
    environments_.erase(name);
    unpark_all();
    stir_all();
}

const Environment& Board::environment(const std::string& name) const
{
    if (const auto found = environments_.find(name); found != environments_.end()) return found->second;
    Environment& made = assumed_[name];
    made.name = name;
    return made;
}

void Board::put_agent(AgentKey key, AgentRecord agent)
{
    Seat& seat = seats_[key];
    seat.agent = std::move(agent);
    seat.ranks.clear();
    if (seat.want > 0) stirred_agents_.insert(key);
}

void Board::refuse(AgentKey key, std::set<std::string> triggers)
{
    Seat& seat = seats_[key];
    seat.refused = std::move(triggers);
    seat.ranks.clear();
    if (seat.want > 0) stirred_agents_.insert(key);
}

void Board::remove_agent(AgentKey key)
{
    want(key, 0);
    seats_.erase(key);
}

void Board::hold(std::function<bool(const std::string&)> held)
{
    held_ = std::move(held);
    stirred_queues_ = waiting_;
}

void Board::put_needs(BindingKey binding, Needs needs) { queues_[binding].needs = std::move(needs); }

void Board::stop(BindingKey binding) { queues_[binding].stopped = true; }

bool Board::stopped(BindingKey binding) const
{
    const auto found = queues_.find(binding);
    return found != queues_.end() && found->second.stopped;
}

std::size_t Board::ready_count(BindingKey binding) const
{
    const Queue& queue = queues_.at(binding);
    return queue.ready.size() + queue.beyond;
}

std::size_t Board::kept() const
{
    std::size_t count = 0;
    for (const auto& [binding, queue] : queues_) count += queue.ready.size();
    return count;
}

void Board::settle(BindingKey binding, Queue& queue)
{
    while (queue.ready.size() > 2 * kKept) {
        queue.ready.erase(std::prev(queue.ready.end()));
        ++queue.beyond;
    }
    if (queue.ready.empty()) {
        waiting_.erase(binding);
        open_.erase(binding);
        if (queue.parked) locks_[*queue.parked].parked.erase(binding);
        queue.parked.reset();
    } else {
        waiting_.insert(binding);
        if (!queue.parked) open_.insert(binding);
    }
    if (queue.ready.empty() && queue.beyond > 0) hungry_.insert(binding);
    else hungry_.erase(binding);
}

void Board::add_ready(JobKey job, BindingKey binding, Turn turn)
{
    Queue& queue = queues_[binding];
    const std::pair key(turn, job);
    if (queue.beyond > 0 && (queue.ready.empty() || key > *queue.ready.rbegin())) ++queue.beyond;
    else queue.ready.insert(key);
    settle(binding, queue);
    stirred_queues_.insert(binding);
}

void Board::remove_ready(JobKey job, BindingKey binding, Turn turn)
{
    const auto found = queues_.find(binding);
    if (found == queues_.end()) return;
    Queue& queue = found->second;
    if (queue.ready.erase({turn, job}) == 0 && queue.beyond > 1) --queue.beyond;   // never to 0: only the store can say that none is left
    settle(binding, queue);
}

void Board::put_waiting(BindingKey binding, std::size_t jobs)
{
    Queue& queue = queues_[binding];
    queue.ready.clear();
    queue.beyond = jobs;
    settle(binding, queue);
}

std::optional<BindingKey> Board::hungry() const
{
    if (hungry_.empty()) return std::nullopt;
    return *hungry_.begin();
}

void Board::refill(BindingKey binding, const std::vector<std::pair<JobKey, Turn>>& first)
{
    Queue& queue = queues_.at(binding);
    visits_ += first.size();
    for (const auto& [job, turn] : first) queue.ready.insert({turn, job});
    queue.beyond = first.size() < kKept ? 0 : std::max<std::size_t>(1, queue.beyond - std::min(queue.beyond, first.size()));
    settle(binding, queue);
    stirred_queues_.insert(binding);
}

void Board::set_want(Seat& seat, AgentKey key, std::uint32_t jobs)
{
    if (seat.want > 0) free_.erase(seat.used);
    seat.want = jobs;
    if (jobs == 0) return;
    seat.used = ++uses_;
    free_[seat.used] = key;
}

void Board::want(AgentKey agent, std::uint32_t jobs)
{
    const auto found = seats_.find(agent);
    if (found == seats_.end()) return;
    set_want(found->second, agent, jobs);
    if (jobs > 0) stirred_agents_.insert(agent);
    else stirred_agents_.erase(agent);
}

std::uint32_t Board::wanted(AgentKey agent) const
{
    const auto found = seats_.find(agent);
    return found == seats_.end() ? 0 : found->second.want;
}

void Board::occupy(BindingKey binding, JobKey job)
{
    const Needs& needs = queues_[binding].needs;
    ++occupied_[needs.trigger];
    for (const std::string& name : needs.locks) locks_[{needs.environment, name}].holders.insert(job);
}

void Board::vacate(BindingKey binding, JobKey job)
{
    const Needs& needs = queues_[binding].needs;
    for (const std::string& name : needs.locks) {
        const LockKey key(needs.environment, name);
        locks_[key].holders.erase(job);
        unpark(key);
        if (const Lock& lock = locks_[key]; lock.holders.empty() && lock.parked.empty()) locks_.erase(key);
    }
    const auto found = occupied_.find(needs.trigger);
    if (found == occupied_.end()) return;
    if (--found->second == 0) occupied_.erase(found);
    // Only a limit could have held back others of the trigger, perhaps of an older binding.
    for (const BindingKey key : waiting_)
        if (const Needs& other = queues_.at(key).needs; other.concurrency > 0 && other.trigger == needs.trigger) stirred_queues_.insert(key);
}

std::uint32_t Board::occupied(const std::string& trigger) const
{
    const auto found = occupied_.find(trigger);
    return found == occupied_.end() ? 0 : found->second;
}

std::uint32_t Board::slots(const LockKey& lock) const
{
    const Environment& where = environment(lock.first);
    const auto found = where.locks.find(lock.second);
    return found == where.locks.end() ? 1 : found->second;
}

std::optional<LockKey> Board::lacked(const Queue& queue) const
{
    for (const std::string& name : queue.needs.locks) {
        LockKey key(queue.needs.environment, name);
        if (const auto found = locks_.find(key); found != locks_.end() && found->second.holders.size() >= slots(key)) return key;
    }
    return std::nullopt;
}

void Board::park(BindingKey binding, Queue& queue, const LockKey& lock)
{
    queue.parked = lock;
    locks_[lock].parked.insert(binding);
    open_.erase(binding);
}

void Board::unpark(const LockKey& lock)
{
    for (const BindingKey binding : std::exchange(locks_[lock].parked, {})) {
        queues_.at(binding).parked.reset();
        open_.insert(binding);
        stirred_queues_.insert(binding);
    }
}

void Board::unpark_all()
{
    for (auto& [key, lock] : locks_) unpark(key);
}

bool Board::blocked(const Queue& queue) const
{
    if (queue.stopped) return true;
    if (held_ && held_(queue.needs.environment)) return true;
    return queue.needs.concurrency > 0 && occupied(queue.needs.trigger) >= queue.needs.concurrency;
}

int Board::rank(Seat& seat, BindingKey binding)
{
    if (seat.revision != revision_) {
        seat.ranks.clear();
        seat.revision = revision_;
    }
    const auto known = seat.ranks.find(binding);
    if (known != seat.ranks.end()) return known->second;
    const Needs& needs = queues_.at(binding).needs;
    const Environment& where = environment(needs.environment);
    const bool refused = !needs.is_own() && seat.refused.contains(needs.trigger);
    const int value = !refused && lacks(needs, where, seat.agent).empty() ? preference(needs, where, seat.agent).value_or(-1) : -1;
    seat.ranks.emplace(binding, value);
    return value;
}

std::size_t Board::fitting_agents(BindingKey binding)
{
    std::size_t count = 0;
    for (auto& [key, seat] : seats_) count += rank(seat, binding) >= 0 ? 1 : 0;
    return count;
}

bool Board::anyone_free(BindingKey binding)
{
    return std::any_of(free_.begin(), free_.end(), [&](const auto& one) { return rank(seats_.at(one.second), binding) >= 0; });
}

Match Board::take(AgentKey agent, BindingKey binding)
{
    Queue& queue = queues_.at(binding);
    const JobKey job = queue.ready.begin()->second;
    queue.ready.erase(queue.ready.begin());
    settle(binding, queue);
    Seat& seat = seats_.at(agent);
    set_want(seat, agent, seat.want - 1);
    occupy(binding, job);
    return {.job = job, .binding = binding, .agent = agent};
}

std::optional<Match> Board::for_agent(AgentKey key)
{
    Seat& seat = seats_.at(key);
    if (seat.want == 0) return std::nullopt;
    std::optional<BindingKey> best;
    std::vector<std::pair<BindingKey, LockKey>> parked;
    for (const BindingKey binding : open_) {
        ++visits_;
        const Queue& queue = queues_.at(binding);
        if (blocked(queue) || (best && *queue.ready.begin() > *queues_.at(*best).ready.begin())) continue;
        if (auto lock = lacked(queue)) parked.emplace_back(binding, std::move(*lock));
        else if (rank(seat, binding) >= 0) best = binding;
    }
    for (const auto& [binding, lock] : parked) park(binding, queues_.at(binding), lock);
    if (!best) return std::nullopt;
    return take(key, *best);
}

std::optional<Match> Board::for_queue(BindingKey binding)
{
    Queue& queue = queues_.at(binding);
    if (queue.ready.empty() || queue.parked || blocked(queue)) return std::nullopt;
    if (const auto lock = lacked(queue)) {
        park(binding, queue, *lock);
        return std::nullopt;
    }
    std::optional<AgentKey> best;
    int best_rank = 0;
    for (const auto& [used, key] : free_) {
        ++visits_;
        const int here = rank(seats_.at(key), binding);
        if (here < 0 || (best && here >= best_rank)) continue;
        best = key;
        best_rank = here;
        if (here == 0) break;   // nobody is preferred to it, and it was unused for longest
    }
    if (!best) return std::nullopt;
    return take(*best, binding);
}

void Board::enter_round(BindingKey binding)
{
    const auto found = queues_.find(binding);
    if (found == queues_.end() || found->second.ready.empty()) return;
    const auto [turn, job] = *found->second.ready.begin();
    round_.insert({turn, job, binding});
}

std::optional<Match> Board::next()
{
    // Agents first: what they take is the best of all queues; afterwards a queue has only what no free agent fitted before.
    while (!stirred_agents_.empty()) {
        const AgentKey key = *stirred_agents_.begin();
        if (auto match = for_agent(key)) return match;
        stirred_agents_.erase(key);
    }
    // Of several queues the one with the first head: they may wait for the same lock.
    while (true) {
        if (round_.empty())
            for (const BindingKey binding : std::exchange(stirred_queues_, {})) enter_round(binding);
        if (round_.empty()) return std::nullopt;
        const BindingKey binding = std::get<2>(*round_.begin());
        round_.erase(round_.begin());
        if (auto match = for_queue(binding)) {
            enter_round(binding);
            return match;
        }
    }
}

}  // namespace mill::factory::dispatch
