// Reads JSON; what is read must survive writing and reading again.
#include <cstdint>
#include <string_view>

#include "platform/base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto first = mill::parse_json({reinterpret_cast<const char*>(data), size});
    if (!first) return 0;
    const auto second = mill::parse_json(mill::dump_json(*first), {.bytes = 64UL * 1024 * 1024, .depth = 64});
    mill::check(second.has_value() && mill::dump_json(*second) == mill::dump_json(*first), "JSON changed on its way through text");
    return 0;
}
