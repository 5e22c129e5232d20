#include "agent/self/vitals.h"

namespace mill::agent {

void Vitals::Loop::within(Milliseconds time)
{
    const std::scoped_lock lock(all_.mutex_);
    due_ = all_.clock_.steady() + time;
}

void Vitals::Loop::idle()
{
    const std::scoped_lock lock(all_.mutex_);
    due_.reset();
}

void Vitals::Loop::good()
{
    const std::scoped_lock lock(all_.mutex_);
    good_at_ = all_.clock_.now();
    bad_at_.reset();
    why_.clear();
}

void Vitals::Loop::bad(std::string_view why)
{
    const std::scoped_lock lock(all_.mutex_);
    bad_at_ = all_.clock_.now();
    why_ = why.substr(0, 1000);
}

Vitals::Loop& Vitals::add(std::string name, std::string of)
{
    const std::scoped_lock lock(mutex_);
    loops_.push_back(Loop(*this, std::move(name), std::move(of)));
    return loops_.back();
}

std::vector<std::string> Vitals::overdue() const
{
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> out;
    for (const Loop& loop : loops_)
        if (loop.due_ && clock_.steady() > *loop.due_) out.push_back(loop.of_.empty() ? loop.name_ : loop.name_ + " of " + loop.of_);
    return out;
}

Json Vitals::as_json() const
{
    const std::scoped_lock lock(mutex_);
    Json out = Json::array();
    for (const Loop& loop : loops_) {
        const bool late = loop.due_ && clock_.steady() > *loop.due_;
        Json one = Json::object({{"name", loop.name_}, {"state", late ? "overdue" : loop.due_ ? "working" : "waiting"}});
        if (!loop.of_.empty()) one.set("of", loop.of_);
        if (loop.good_at_) one.set("lastGood", format_time(*loop.good_at_));
        if (loop.bad_at_) one.set("lastError", Json::object({{"at", format_time(*loop.bad_at_)}, {"why", loop.why_}}));
        out.push(std::move(one));
    }
    return out;
}

}  // namespace mill::agent
