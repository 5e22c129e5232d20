#include "platform/base/http_date.h"

#include <array>
#include <charconv>
#include <string>

#include <fmt/format.h>

namespace mill {

Result<WallTime> parse_http_date(std::string_view text)
{
    static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto wrong = [&] { return fail(Errc::invalid, "'" + std::string(text.substr(0, 40)) + "' is no HTTP date"); };
    if (text.size() != 29 || !text.ends_with(" GMT")) return wrong();
    for (std::size_t i = 0; i < kMonths.size(); ++i)
        if (text.substr(8, 3) == kMonths[i])
            return parse_time(fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4), i + 1, text.substr(5, 2), text.substr(17, 8)));
    return wrong();
}

}  // namespace mill
