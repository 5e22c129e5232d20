// factory/api/routes.h -- the route table: what can be called, by whom, and who answers.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "factory/api/call.h"

namespace mill::factory {

struct Service;

enum class Access {
    open,        ///< no token
    any_token,   ///< a token of any kind; the handler looks closer
    viewer, operate, developer, admin,
    sap,         ///< SAP's headers; the handler looks
    chat,        ///< a chat platform's signature, or the trigger's token; the handler looks
    hook,        ///< a signature over the body; the handler looks
    agent,       ///< an agent's access token
    attempt,     ///< an attempt's token; the handler looks
};

using RouteHandler = void (*)(Service&, const CallPtr&);

struct Route {
    std::string_view method, pattern;   ///< "/v1/jobs/{uid}"
    Access access;
    RouteHandler handler;
    std::string_view summary;           ///< one line, for OpenAPI
    std::string_view query = {};        ///< allowed names, separated by ','; "*": any
    std::size_t body = 64 * 1024;       ///< limit in bytes
};

std::span<const Route> routes();

struct Match {
    const Route* route = nullptr;                       ///< null: none
    std::vector<std::string_view> allowed;              ///< methods of the routes with this path
    std::map<std::string, std::string, std::less<>> path;
};
/// `path` is percent-encoded. Errors: invalid (encoding).
Result<Match> match_route(std::string_view method, std::string_view path);

}  // namespace mill::factory
