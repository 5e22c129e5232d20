#include "platform/posix/wait.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <sys/eventfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"

namespace mill::platform {
namespace {

/// Turns a stop request into a readable descriptor.
class StopWake {
public:
    explicit StopWake(const std::stop_token& stop) : native_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), callback_(stop, Wake{native_}) {}
    StopWake(const StopWake&) = delete;
    StopWake& operator=(const StopWake&) = delete;
    ~StopWake() { callback_.reset(); if (native_ >= 0) close(native_); }
    int native() const { return native_; }

private:
    struct Wake {
        int native;
        void operator()() const noexcept
        {
            const std::uint64_t one = 1;
            [[maybe_unused]] const auto written = write(native, &one, sizeof one);
        }
    };
    struct Callback {
        Callback(const std::stop_token& stop, Wake wake) : held(std::in_place, stop, wake) {}
        void reset() { held.reset(); }
        std::optional<std::stop_callback<Wake>> held;
    };
    int native_;
    Callback callback_;
};

int left_ms(const std::optional<SteadyPoint>& deadline)
{
    if (!deadline) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, 1'000'000'000));
}

}  // namespace

Result<bool> wait_ready(std::vector<pollfd>& set, std::optional<SteadyPoint> deadline, const std::stop_token& stop)
{
    if (stop.stop_requested()) return fail(Errc::cancelled, "stopped on request");
    const std::size_t count = set.size();
    std::optional<StopWake> wake;
    const bool may_block = !deadline || *deadline > std::chrono::steady_clock::now();
    if (may_block && stop.stop_possible()) {
        wake.emplace(stop);
        set.push_back({wake->native(), POLLIN, 0});
    }
    while (true) {
        const int ready = poll(set.data(), set.size(), left_ms(deadline));
        const int error = errno;
        const bool stopped = wake && set.back().revents != 0;
        if (ready < 0 && error == EINTR) continue;
        set.resize(count);
        if (ready < 0) return fail(Errc::internal, fmt::format("poll: {}", os_error(error)));
        if (stopped || stop.stop_requested()) return fail(Errc::cancelled, "stopped on request");
        return ready > 0;
    }
}

Result<bool> wait_ready(int descriptor, short events, std::optional<SteadyPoint> deadline, const std::stop_token& stop)
{
    std::vector<pollfd> set{{descriptor, events, 0}};
    return wait_ready(set, deadline, stop);
}

}  // namespace mill::platform
