#include "factory/api/limits.h"

namespace mill::factory {

bool is_loopback(std::string_view remote)
{
    return remote.starts_with("127.") || remote == "::1" || remote.starts_with("::ffff:127.");
}

Rate CallLimits::for_remote(Rate rate, std::string_view remote) const
{
    if (!is_loopback(remote)) return rate;
    return {rate.per_second * rates_.loopback, rate.burst * rates_.loopback};
}

std::optional<Milliseconds> CallLimits::address(std::string_view remote, bool agents_side)
{
    return (agents_side ? agents_ : addresses_).take(address_group(remote), for_remote(agents_side ? rates_.agents : rates_.address, remote), clock_.steady());
}

std::optional<Milliseconds> CallLimits::token(const std::string& id, std::string_view remote) { return tokens_.take(id, for_remote(rates_.token, remote), clock_.steady()); }

std::optional<Milliseconds> CallLimits::file(const std::string& agent, const std::string& trigger)
{
    constexpr Rate kFiles{1000.0 / 60, 1000};
    return files_.take(agent + "\n" + trigger, kFiles, clock_.steady());
}

std::optional<Milliseconds> CallLimits::failure(std::string_view remote) { return failures_.take(address_group(remote), for_remote(rates_.failures, remote), clock_.steady()); }

}  // namespace mill::factory
