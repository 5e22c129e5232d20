// agent/companion/page_server.h -- serves the person's page on loopback and passes on what it asks to the agent's socket for the person.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/local_http.h"

namespace mill::companion {

struct PagePorts {
    /// One request to DIR/person. May block for `wait`; called from two threads of the page's server at once.
    std::function<Result<platform::LocalResponse>(const platform::LocalRequest& request, std::chrono::milliseconds wait)> forward;
    const Clock* clock = &system_clock();
};

/// Thread: any.
class PageServer {
public:
    virtual ~PageServer() = default;   ///< blocks until what was passed on is answered, at most kForwardWait
    /// "http://127.0.0.1:PORT"
    virtual const std::string& address() const = 0;
    /// A URL that opens the page once, within a minute. `what`: launcher, launch, question, consent, history or job; `id` of it, or "".
    virtual std::string link(std::string_view what, std::string_view id) = 0;
    /// What `GET /v1/person` or `/v1/changes` said last, from whoever watches it: pages that wait look again.
    virtual void changed(std::int64_t version) = 0;
};

inline constexpr std::chrono::seconds kForwardWait{10};

/// On 127.0.0.1 and a port that the system chooses. Errors: unavailable; not_found (a build without the page, MILL_CONSOLE=OFF).
Result<std::unique_ptr<PageServer>> start_page(PagePorts ports);

}  // namespace mill::companion
