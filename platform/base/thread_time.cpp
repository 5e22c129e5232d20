#include "platform/base/thread_time.h"

#include <ctime>

namespace mill {

std::chrono::nanoseconds ThreadTime::used() const
{
    clockid_t clock{};
    timespec time{};
    if (pthread_getcpuclockid(thread_, &clock) != 0 || clock_gettime(clock, &time) != 0) return {};
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace mill
