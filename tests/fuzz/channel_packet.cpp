// Hands a receiver packets that a hostile program made: parted at the byte 0xFE. It may refuse, never crash or wait.
#include <cstdint>
#include <string_view>

#include <sys/socket.h>

#include "platform/channel.h"

using namespace mill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 65536) return 0;
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    auto ends = platform::Channel::pair();
    if (!ends) return 0;
    while (!rest.empty()) {
        const auto cut = rest.find('\xFE');
        const std::string_view packet = rest.substr(0, cut);
        rest.remove_prefix(cut == std::string_view::npos ? rest.size() : cut + 1);
        (void)::send(ends->first.handle().native(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    for (int i = 0; i < 1000; ++i) {
        const auto message = ends->second.receive(std::chrono::milliseconds(0));
        if (!message && message.error().code == Errc::unavailable) break;
        if (message && !*message) break;
        if (message) check((*message)->text.size() <= platform::Channel::kMaxMessage, "a message over the limit");
    }
    return 0;
}
