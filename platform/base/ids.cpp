#include "platform/base/ids.h"

#include <cerrno>
#include <cstdint>

#include <sys/random.h>

#include "platform/base/clock.h"
#include "platform/base/encode.h"
#include "platform/base/result.h"

namespace mill {

std::string random_bytes(std::size_t bytes)
{
    std::string out(bytes, '\0');
    std::size_t done = 0;
    while (done < bytes) {
        const auto got = getrandom(out.data() + done, bytes - done, 0);
        if (got > 0) done += static_cast<std::size_t>(got);
        else check(errno == EINTR, "the system gives no random bytes");
    }
    return out;
}

std::string new_uid()
{
    std::string raw = random_bytes(16);
    const auto millis = static_cast<std::uint64_t>(system_clock().now().microseconds / 1000);
    for (int i = 0; i < 6; ++i) raw[static_cast<std::size_t>(i)] = static_cast<char>(millis >> (40 - 8 * i) & 0xFFU);
    raw[6] = static_cast<char>((static_cast<unsigned char>(raw[6]) & 0x0FU) | 0x70U);
    raw[8] = static_cast<char>((static_cast<unsigned char>(raw[8]) & 0x3FU) | 0x80U);
    const std::string hex = to_hex(raw);
    return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" + hex.substr(20);
}

}  // namespace mill
