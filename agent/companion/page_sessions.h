// agent/companion/page_sessions.h -- who may see the person's page: links that open it once, and the sessions that came of them.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/result.h"

namespace mill::companion {

/// A cookie reaches every port of 127.0.0.1, so that a server of somebody else on this machine may see it; what the page holds in its own
/// origin it does not see. Therefore a session is two secrets: neither is good for anything alone.
struct PageSession {
    std::string cookie, key;
};

inline constexpr std::chrono::seconds kLinkLife{60};
inline constexpr std::chrono::hours kSessionLife{12};   ///< since it was last used
inline constexpr std::size_t kMostLinks = 8, kMostSessions = 8, kMostGuesses = 10;   ///< wrong secrets within a minute

/// Thread: any.
class PageSessions {
public:
    explicit PageSessions(const Clock& clock) : clock_(clock) {}

    /// The secret of a new link; the oldest of too many is good no longer.
    std::string new_link();
    /// Uses the link up. Whoever has the cookie of a session stays in it. Errors: denied (wrong, used, or too old); unavailable (too many wrong ones: in a minute again).
    Result<PageSession> exchange(std::string_view secret, std::string_view cookie);
    bool admits(std::string_view cookie, std::string_view key);

private:
    struct Link {
        std::string secret;
        SteadyTime until;
    };
    struct Open {
        PageSession session;
        SteadyTime until;
    };
    void forget_old(SteadyTime now);

    const Clock& clock_;
    std::mutex mutex_;
    std::deque<Link> links_;
    std::deque<Open> sessions_;
    std::deque<SteadyTime> guesses_;
};

}  // namespace mill::companion
