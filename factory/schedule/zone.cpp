#include "factory/schedule/zone.h"

#include <date/tz.h>

#include <fmt/format.h>

#include "platform/base/nearest.h"
#include "platform/base/printable.h"

namespace mill::factory {
namespace {

using std::chrono::seconds;

const date::time_zone& zone_of(const void* zone) { return *static_cast<const date::time_zone*>(zone); }
date::sys_seconds sys_of(WallTime instant) { return date::sys_seconds(std::chrono::floor<seconds>(Microseconds(instant.microseconds))); }
date::local_seconds local_of(LocalTime local) { return date::local_seconds(seconds(local.seconds)); }
WallTime wall_of(date::local_seconds local, seconds offset) { return {std::chrono::duration_cast<Microseconds>(local.time_since_epoch() - offset).count()}; }

}  // namespace

Result<Zone> Zone::find(std::string_view name)
{
    try {
        const date::tzdb& database = date::get_tzdb();
        for (const date::time_zone& zone : database.zones)
            if (zone.name() == name) {
                (void)zone.get_info(date::sys_seconds(seconds(0)));  // reads its file: what is wrong with it is known now
                return Zone(&zone, std::string(name));
            }
        std::vector<std::string> names;  // of the same letter: a hint is not worth more
        for (const date::time_zone& zone : database.zones)
            if (!name.empty() && (zone.name()[0] | 0x20) == (name[0] | 0x20)) names.push_back(zone.name());
        return fail(Errc::invalid, fmt::format("there is no time zone '{}'{} (names are those of the IANA database, such as Europe/Berlin or UTC)", one_line(name.substr(0, 100)),
                                               did_you_mean(name.substr(0, 100), names)));
    } catch (const std::exception& error) {
        return fail(Errc::unavailable, fmt::format("this machine's time zones cannot be read ({}): install the package tzdata", one_line(error.what())));
    }
}

LocalTime Zone::local(WallTime instant) const
{
    return {zone_of(zone_).to_local(sys_of(instant)).time_since_epoch().count()};
}

std::vector<WallTime> Zone::instants(LocalTime local) const
{
    const date::local_seconds time = local_of(local);
    const date::local_info info = zone_of(zone_).get_info(time);
    if (info.result == date::local_info::nonexistent) return {};
    if (info.result == date::local_info::unique) return {wall_of(time, info.first.offset)};
    return {wall_of(time, info.first.offset), wall_of(time, info.second.offset)};
}

WallTime Zone::after_gap(LocalTime local) const
{
    const date::local_info info = zone_of(zone_).get_info(local_of(local));
    return {std::chrono::duration_cast<Microseconds>(info.second.begin.time_since_epoch()).count()};
}

bool Zone::is_steady(WallTime first, WallTime last) const
{
    return sys_of(last) < zone_of(zone_).get_info(sys_of(first)).end;
}

}  // namespace mill::factory
