// agent/companion/page_routes.h -- what the page may ask of the agent's socket for the person: these and nothing else.
#pragma once

#include <string_view>

namespace mill::companion {

enum class PageRoute {
    unknown,
    wrong_method,
    changes,   ///< GET /v1/changes?after=N: answered by the page's server itself
    forward,
};

/// `target` as DIR/person knows it, without /api.
PageRoute page_route(std::string_view method, std::string_view target);

}  // namespace mill::companion
