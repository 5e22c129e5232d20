// Reads the words between keeper, agent and broker; what is taken must be written as it was.
#include <cstdint>
#include <string_view>

#include "agent/keeper/messages.h"

using namespace mill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (const auto words = keeper::decode(bytes)) check(keeper::encode(*words) == bytes, "words changed");
    if (const auto request = keeper::decode_request(bytes)) {
        const auto again = keeper::decode_request(keeper::encode(*request));
        check(again && keeper::encode(*again) == keeper::encode(*request), "a request changed");
    }
    return 0;
}
