#include "agent/companion/page_sessions.h"

#include <algorithm>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/crypto.h"

namespace mill::companion {
namespace {

std::string new_page_secret() { return to_base64url(random_bytes(32)); }

}  // namespace

void PageSessions::forget_old(SteadyTime now)
{
    std::erase_if(links_, [&](const Link& each) { return each.until <= now; });
    std::erase_if(sessions_, [&](const Open& each) { return each.until <= now; });
    std::erase_if(guesses_, [&](SteadyTime each) { return each + std::chrono::minutes(1) <= now; });
}

std::string PageSessions::new_link()
{
    const std::scoped_lock lock(mutex_);
    const SteadyTime now = clock_.steady();
    forget_old(now);
    if (links_.size() == kMostLinks) links_.pop_front();
    links_.push_back({new_page_secret(), now + kLinkLife});
    return links_.back().secret;
}

Result<PageSession> PageSessions::exchange(std::string_view secret, std::string_view cookie)
{
    const std::scoped_lock lock(mutex_);
    const SteadyTime now = clock_.steady();
    forget_old(now);
    if (guesses_.size() >= kMostGuesses) return fail(Errc::unavailable, "too many wrong links were tried: wait a minute");
    const auto link = std::find_if(links_.begin(), links_.end(), [&](const Link& each) { return platform::equal_constant_time(each.secret, secret); });
    if (link == links_.end()) {
        guesses_.push_back(now);
        if (guesses_.size() == kMostGuesses) log::warning("page", "{} wrong links within a minute: no link opens the page for a minute", kMostGuesses);
        return fail(Errc::denied, "this link was used already, is older than a minute, or was never made");
    }
    links_.erase(link);
    const auto known = std::find_if(sessions_.begin(), sessions_.end(), [&](const Open& each) { return platform::equal_constant_time(each.session.cookie, cookie); });
    if (known != sessions_.end()) {
        known->until = now + kSessionLife;
        return known->session;
    }
    if (sessions_.size() == kMostSessions) sessions_.pop_front();
    sessions_.push_back({{new_page_secret(), new_page_secret()}, now + kSessionLife});
    return sessions_.back().session;
}

bool PageSessions::admits(std::string_view cookie, std::string_view key)
{
    const std::scoped_lock lock(mutex_);
    const SteadyTime now = clock_.steady();
    forget_old(now);
    for (Open& each : sessions_) {
        const bool same_cookie = platform::equal_constant_time(each.session.cookie, cookie), same_key = platform::equal_constant_time(each.session.key, key);
        if (!same_cookie || !same_key) continue;
        each.until = now + kSessionLife;
        return true;
    }
    return false;
}

}  // namespace mill::companion
