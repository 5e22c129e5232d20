#include "workflows/duration.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace mill::workflows {
namespace {

constexpr double kLongest = 10'000.0 * 86'400'000.0;  // milliseconds

Result<Milliseconds> bounded(double milliseconds, std::string_view text)
{
    if (!(milliseconds >= 0)) return fail(Errc::invalid, fmt::format("the duration '{}' is negative", text));
    if (milliseconds > kLongest) return fail(Errc::invalid, fmt::format("the duration '{}' is longer than 10,000 days", text));
    return Milliseconds(std::llround(milliseconds));
}

double factor(char unit, bool time)
{
    if (!time) return unit == 'W' ? 7 * 86'400'000.0 : unit == 'D' ? 86'400'000.0 : 0;
    return unit == 'H' ? 3'600'000.0 : unit == 'M' ? 60'000.0 : unit == 'S' ? 1'000.0 : 0;
}

}  // namespace

Result<Milliseconds> parse_iso_duration(std::string_view text)
{
    const auto wrong = [&](std::string_view why) {
        return fail(Errc::invalid, fmt::format("'{}' is not an ISO 8601 duration such as PT30S: {}", text.substr(0, 40), why));
    };
    if (text.size() < 2 || text[0] != 'P') return wrong("it begins with P");
    double total = 0;
    bool time = false, any = false;
    std::string_view order = "WD", rest = text.substr(1);
    while (!rest.empty()) {
        if (rest[0] == 'T') {
            if (time || rest.size() == 1) return wrong("misplaced T");
            time = true;
            order = "HMS";
            rest.remove_prefix(1);
            continue;
        }
        double number = 0;
        const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
        if (code != std::errc() || rest[0] == '-' || rest[0] == '.' || end == rest.data() + rest.size() || !std::isfinite(number))
            return wrong("a number and a unit are expected");
        const char unit = *end;
        if (!time && (unit == 'Y' || unit == 'M')) return wrong("years and months vary in length: use days");
        const std::size_t place = order.find(unit);
        if (place == std::string_view::npos) return wrong("unknown unit, or units out of order");
        const std::string_view digits(rest.data(), static_cast<std::size_t>(end - rest.data()));
        rest.remove_prefix(digits.size() + 1);
        if (digits.find('.') != std::string_view::npos && !rest.empty()) return wrong("only the last number may have a fraction");
        order = order.substr(place + 1);
        total += number * factor(unit, time);
        any = true;
    }
    if (!any) return wrong("it is empty");
    return bounded(total, text);
}

Result<Milliseconds> duration_of(const Json& value)
{
    if (value.is_string()) return parse_iso_duration(value.as_string());
    if (!value.is_object())
        return fail(Errc::invalid, fmt::format("a duration is an object such as {{seconds: 5}} or ISO 8601 text such as PT5S, not {}", value.kind_name()));
    if (value.empty()) return fail(Errc::invalid, "a duration needs at least one of days, hours, minutes, seconds, milliseconds");
    double total = 0;
    for (const auto& [key, amount] : value.as_object()) {
        const double unit = key == "days" ? 86'400'000.0 : key == "hours" ? 3'600'000.0 : key == "minutes" ? 60'000.0
                          : key == "seconds" ? 1'000.0 : key == "milliseconds" ? 1.0 : 0;
        if (unit == 0) return fail(Errc::invalid, fmt::format("a duration has no '{}': use days, hours, minutes, seconds, milliseconds", key));
        if (!amount.is_number()) return fail(Errc::invalid, fmt::format("'{}' of a duration must be a number, not {}", key, amount.kind_name()));
        if (amount.as_number() < 0) return fail(Errc::invalid, fmt::format("'{}' of a duration is negative", key));
        total += amount.as_number() * unit;
    }
    return bounded(total, dump_json(value));
}

}  // namespace mill::workflows
