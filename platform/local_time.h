// platform/local_time.h -- wall time as the clock on this machine's wall shows it: for what people write down as days and hours.
#pragma once

#include "platform/base/clock.h"

namespace mill::platform {

struct LocalTime {
    int year = 1970, month = 1, day = 1;  ///< month and day from 1
    int weekday = 0;                      ///< 0 is Monday
    int minute = 0;                       ///< of the day
};

/// In the machine's time zone (TZ, /etc/localtime). Thread: any that changes no environment.
LocalTime local_time(WallTime time);
/// The begin of that minute; a day beyond the month's last is one of the next month, a minute beyond the day's last one of the next day. A minute that the clock
/// skips is the one that it goes on with; of one that it shows twice it is one of the two.
WallTime from_local(int year, int month, int day, int minute);
/// The next midnight.
WallTime next_day(WallTime now);

}  // namespace mill::platform
