#include <fmt/format.h>

#include "platform/base/clock.h"
#include "workflows/activities/contract.h"

namespace mill::workflows {
namespace {

Result<Json> parse_date(const Json& with)
{
    Result<WallTime> time = parse_time(with["text"].as_string());
    if (!time) time = parse_time(with["text"].as_string() + "T00:00:00Z");
    if (!time) return fail(Errc::invalid, fmt::format("'{}' is no date (2026-11-22) and no time (2026-11-22T13:40:00Z)", with["text"].as_string().substr(0, 60)));
    const std::int64_t milliseconds = time->microseconds / 1000;
    return Json::object({{"iso8601", format_time(*time)},
                         {"epoch", Json::object({{"seconds", milliseconds / 1000}, {"milliseconds", milliseconds}})}});
}

}  // namespace

void add_dates(std::vector<Activity>& out)
{
    using namespace contract;
    out.push_back({"date.parse", "Reads a date or time (RFC 3339), the same on every system.", "",
                   object({{"text", text("2026-11-22, or 2026-11-22T13:40:00+01:00")}}, Json::array({"text"})),
                   object({{"iso8601", text("in UTC")}, {"epoch", typed("object", "seconds, milliseconds")}}), {},
                   example("date.parse", Json::object({{"text", "${ .due }"}})), parse_date});
}

}  // namespace mill::workflows
