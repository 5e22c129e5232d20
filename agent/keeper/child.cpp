#include "agent/keeper/child.h"

#include <algorithm>
#include <csignal>

namespace mill::keeper {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

}  // namespace

Status Child::start()
{
    auto ends = platform::Channel::pair();
    if (!ends) return fail(ends.error());
    const platform::Handle inside = std::move(ends->second).take_handle();
    platform::ProcessSpec spec = spec_;
    spec.handles.emplace_back(3, &inside);
    const platform::Handle more = hand_over_ ? hand_over_() : platform::Handle();
    if (more.valid()) {
        spec.handles.emplace_back(4, &more);
        spec.environment[variable_] = "4";
    }
    auto process = platform::start_process(spec);
    started_ = Clock::now();
    if (!process) {
        later();
        return fail(process.error());
    }
    process_ = std::move(*process);
    peer.open(std::move(ends->first));
    return {};
}

std::optional<platform::Ending> Child::collect()
{
    if (!process_) return std::nullopt;
    const auto ending = process_->wait(0ms);
    if (!ending) return std::nullopt;
    process_.reset();
    later();
    return *ending;
}

void Child::later()
{
    if (Clock::now() - started_ > 60s) pause_ = 0ms;
    next_ = Clock::now() + pause_;
    pause_ = std::clamp<std::chrono::milliseconds>(pause_ * 2, 100ms, 5000ms);
}

void Child::signal(int number)
{
    if (process_) process_->signal(number);
}

void Child::end(std::chrono::milliseconds grace)
{
    wanted_ = false;
    if (!process_) return;
    signal(SIGTERM);
    if (!process_->wait(grace)) {
        signal(SIGKILL);
        (void)process_->wait(5s);
    }
    process_.reset();
    peer.close();
}

}  // namespace mill::keeper
