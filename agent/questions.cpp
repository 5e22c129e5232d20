#include "agent/questions.h"

#include <algorithm>
#include <utility>

#include "platform/base/log.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::chrono::seconds kBringing{20};
constexpr std::size_t kMostHeard = 10'000;

}  // namespace

void Questions::ask(const protocol::AttemptId& id, Json ask)
{
    Name name{id, ask["question"].as_string()};
    {
        const std::scoped_lock lock(mutex_);
        waiting_.insert_or_assign(std::move(name), Item{std::move(ask), {}});
    }
    changed_.notify_all();
}

void Questions::withdraw(const protocol::AttemptId& id, const std::string& question, const std::string& why)
{
    {
        const std::scoped_lock lock(mutex_);
        waiting_.insert_or_assign(Name{id, question}, Item{Json(), why.empty() ? "it is not wanted any more" : why});
    }
    changed_.notify_all();
}

void Questions::over(const protocol::AttemptId& id)
{
    const std::scoped_lock lock(mutex_);
    std::erase_if(waiting_, [&](const auto& each) { return each.first.first == id; });
}

void Questions::heard(const std::string& question)
{
    std::function<void()> told;
    {
        const std::scoped_lock lock(mutex_);
        if (heard_.size() < kMostHeard && std::find(heard_.begin(), heard_.end(), question) == heard_.end()) heard_.push_back(question);
        told = on_heard_;
    }
    if (told) told();
}

std::vector<std::string> Questions::take_heard()
{
    const std::scoped_lock lock(mutex_);
    return std::exchange(heard_, {});
}

bool Questions::has_heard() const
{
    const std::scoped_lock lock(mutex_);
    return !heard_.empty();
}

void Questions::set_on_heard(std::function<void()> on_heard)
{
    const std::scoped_lock lock(mutex_);
    on_heard_ = std::move(on_heard);
}

const std::pair<const Questions::Name, Questions::Item>* Questions::after_locked(const Name& last) const
{
    auto at = waiting_.upper_bound(last);
    for (std::size_t i = 0; i < waiting_.size(); ++i, ++at) {
        if (at == waiting_.end()) at = waiting_.begin();
        if (!held_back_ || !held_back_(at->first.first)) return &*at;
    }
    return nullptr;
}

void Questions::run(std::stop_token stop)
{
    Backoff backoff;
    bool away = false;
    Name last;   // the next one after it: one that is not taken holds up no other
    while (!stop.stop_requested()) {
        std::pair<Name, Item> next;
        {
            std::unique_lock lock(mutex_);
            const std::pair<const Name, Item>* found = nullptr;
            if (!changed_.wait(lock, stop, [&] { return (found = after_locked(last)) != nullptr; })) return;
            next = *found;
            last = next.first;
        }
        Refusal refusal;
        const bool brought = bring(next.first, next.second, stop, refusal);
        if (brought) {
            const std::scoped_lock lock(mutex_);
            // It may have been withdrawn while it was on its way.
            if (const auto found = waiting_.find(next.first); found != waiting_.end() && found->second.withdrawn == next.second.withdrawn) waiting_.erase(found);
            backoff.reset();
            away = false;
            continue;
        }
        if (!std::exchange(away, true)) log::warning("questions", "the factory does not take what a job asks; it is asked again, and the job waits");
        clock_.sleep(backoff.next(refusal), stop);
    }
}

Json Questions::body_of(const Name& name, const Item& item) const
{
    Json body = to_json(name.first);
    body.set("question", name.second);
    if (!item.withdrawn.empty()) return body.set("withdraw", item.withdrawn);
    for (const char* member : {"kind", "text", "schema", "by", "atDeadline", "task"})
        if (const Json* value = item.ask.find(member)) body.set(member, *value);
    if (const std::int64_t within = item.ask["withinMs"].as_integer(); within > 0) {
        const auto asked = parse_time(item.ask["askedAt"].as_string());
        const std::int64_t passed = asked ? (clock_.now() - *asked).count() / 1000 : 0;
        body.set("withinMs", std::max<std::int64_t>(1, within - std::max<std::int64_t>(0, passed)));
    }
    return body;
}

bool Questions::bring(const Name& name, const Item& item, std::stop_token stop, Refusal& refusal)
{
    const auto& [id, question] = name;
    auto answer = factory_.post(protocol::route::kAsk, dump_json(body_of(name, item)), kBringing, stop, &refusal);
    if (!answer && (is_retryable(answer.error()) || refusal.status == 401 || answer.error().code == Errc::cancelled)) return false;
    if (!item.withdrawn.empty()) return true;  // whatever it says: nobody waits for it here
    if (answer) {
        if ((*answer)["state"].as_string() != "open") tell_(command::Answered{id, std::move(*answer)});
        return true;
    }
    const std::string why = refusal.status == 404 ? "the factory is older than this agent and cannot ask people: upgrade it" : answer.error().what;
    log::warning("questions", "{}: question {} is not asked: {}", id.key(), question, why);
    tell_(command::Answered{id, Json::object({{"question", question}, {"state", "failed"}, {"why", why}})});
    return true;
}

}  // namespace mill::agent
