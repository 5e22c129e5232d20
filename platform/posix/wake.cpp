#include "platform/wake.h"

#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

namespace mill::platform {

Wake::Wake() : handle_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { check(handle_.valid(), "no descriptor is left for a bell"); }

void Wake::ring() const
{
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(handle_.native(), &one, sizeof one);
}

void Wake::hear() const
{
    std::uint64_t rung = 0;
    [[maybe_unused]] const auto read = ::read(handle_.native(), &rung, sizeof rung);
}

}  // namespace mill::platform
