#include "agent/companion/page_routes.h"

#include <algorithm>
#include <array>

namespace mill::companion {
namespace {

struct Route {
    std::string_view method, target;   // '*' is one id
};
constexpr std::array kRoutes{
    Route{"GET", "/v1/person"}, Route{"GET", "/v1/jobs/*"}, Route{"POST", "/v1/launch"}, Route{"POST", "/v1/questions/*"}, Route{"POST", "/v1/consents/*"},
    Route{"POST", "/v1/tells/*"}, Route{"POST", "/v1/jobs/*/cancel"}, Route{"POST", "/v1/stop"}, Route{"POST", "/v1/pause"}, Route{"POST", "/v1/resume"},
};
constexpr std::string_view kChanges = "/v1/changes?after=", kDigits = "0123456789";
constexpr std::string_view kOfIds = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.";
constexpr std::size_t kLongestId = 64, kLongestVersion = 18;

bool fits(std::string_view target, std::string_view pattern)
{
    const std::size_t star = pattern.find('*');
    if (star == pattern.npos) return target == pattern;
    const std::string_view before = pattern.substr(0, star), behind = pattern.substr(star + 1);
    if (target.size() <= before.size() + behind.size() || !target.starts_with(before) || !target.ends_with(behind)) return false;
    const std::string_view id = target.substr(before.size(), target.size() - before.size() - behind.size());
    return id.size() <= kLongestId && id.front() != '.' && id.find_first_not_of(kOfIds) == id.npos;
}

}  // namespace

PageRoute page_route(std::string_view method, std::string_view target)
{
    if (target.starts_with(kChanges)) {
        const std::string_view version = target.substr(kChanges.size());
        if (version.empty() || version.size() > kLongestVersion || version.find_first_not_of(kDigits) != version.npos) return PageRoute::unknown;
        return method == "GET" ? PageRoute::changes : PageRoute::wrong_method;
    }
    bool known = false;
    for (const Route& each : kRoutes) {
        if (!fits(target, each.target)) continue;
        if (method == each.method) return PageRoute::forward;
        known = true;
    }
    return known ? PageRoute::wrong_method : PageRoute::unknown;
}

}  // namespace mill::companion
