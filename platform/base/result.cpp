#include "platform/base/result.h"

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

namespace mill {

std::string_view name(Errc code)
{
    switch (code) {
    case Errc::invalid: return "invalid";
    case Errc::denied: return "denied";
    case Errc::not_found: return "not found";
    case Errc::conflict: return "conflict";
    case Errc::too_large: return "too large";
    case Errc::unavailable: return "unavailable";
    case Errc::timeout: return "timeout";
    case Errc::cancelled: return "cancelled";
    case Errc::corrupt: return "corrupt";
    case Errc::internal: return "internal";
    }
    return "unknown";
}

tl::unexpected<Error> fail(std::string_view context, Error error)
{
    return fail(error.code, fmt::format("{}: {}", context, error.what));
}

void check(bool condition, std::string_view what)
{
    if (condition) return;
    std::fprintf(stderr, "bug: %.*s\n", static_cast<int>(what.size()), what.data());
    std::abort();
}

}  // namespace mill
