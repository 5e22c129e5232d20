#include "factory/dispatch/board.h"

#include <algorithm>

namespace mill::factory::dispatch {

void Board::stir_all()
{
    ++revision_;
    for (const auto& [used, key] : free_) stirred_agents_.insert(key);
}

void Board::put_environment(Environment environment)
{
    environments_[environment.name] = std::move(environment);
    stir_all();
}

void Board::remove_environment(const std::string& name)
{
    environments_.erase(name);
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
    if (queue.ready.empty()) waiting_.erase(binding);
    else waiting_.insert(binding);
    if (queue.ready.empty() && queue.beyond > 0) hungry_.insert(binding);
    else hungry_.erase(binding);
}

void Board::add_ready(JobKey job, BindingKey binding, int priority)
{
    Queue& queue = queues_[binding];
    const std::pair key(-priority, job);
    if (queue.beyond > 0 && (queue.ready.empty() || key > *queue.ready.rbegin())) ++queue.beyond;
    else queue.ready.insert(key);
    settle(binding, queue);
    stirred_queues_.insert(binding);
}

void Board::remove_ready(JobKey job, BindingKey binding, int priority)
{
    const auto found = queues_.find(binding);
    if (found == queues_.end()) return;
    Queue& queue = found->second;
    if (queue.ready.erase({-priority, job}) == 0 && queue.beyond > 1) --queue.beyond;   // never to 0: only the store can say that none is left
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

void Board::refill(BindingKey binding, const std::vector<std::pair<JobKey, int>>& first)
{
    Queue& queue = queues_.at(binding);
    visits_ += first.size();
    for (const auto& [job, priority] : first) queue.ready.insert({-priority, job});
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

void Board::occupy(BindingKey binding) { ++occupied_[queues_[binding].needs.trigger]; }

void Board::vacate(BindingKey binding)
{
    const Needs& needs = queues_[binding].needs;
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
    const auto [minus_priority, job] = *queue.ready.begin();
    queue.ready.erase(queue.ready.begin());
    settle(binding, queue);
    Seat& seat = seats_.at(agent);
    set_want(seat, agent, seat.want - 1);
    occupy(binding);
    return {.job = job, .binding = binding, .priority = -minus_priority, .agent = agent};
}

std::optional<Match> Board::for_agent(AgentKey key)
{
    Seat& seat = seats_.at(key);
    if (seat.want == 0) return std::nullopt;
    std::optional<BindingKey> best;
    for (const BindingKey binding : waiting_) {
        ++visits_;
        const Queue& queue = queues_.at(binding);
        if (blocked(queue) || (best && *queue.ready.begin() > *queues_.at(*best).ready.begin())) continue;
        if (rank(seat, binding) >= 0) best = binding;
    }
    if (!best) return std::nullopt;
    return take(key, *best);
}

std::optional<Match> Board::for_queue(BindingKey binding)
{
    const Queue& queue = queues_.at(binding);
    if (queue.ready.empty() || blocked(queue)) return std::nullopt;
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

std::optional<Match> Board::next()
{
    // Agents first: what they take is the best of all queues; afterwards a queue has only what no free agent fitted before.
    while (!stirred_agents_.empty()) {
        const AgentKey key = *stirred_agents_.begin();
        if (auto match = for_agent(key)) return match;
        stirred_agents_.erase(key);
    }
    while (!stirred_queues_.empty()) {
        const BindingKey binding = *stirred_queues_.begin();
        if (auto match = for_queue(binding)) return match;
        stirred_queues_.erase(binding);
    }
    return std::nullopt;
}

}  // namespace mill::factory::dispatch
