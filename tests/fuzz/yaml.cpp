// Reads YAML; what is read must survive dump_yaml and reading again.
#include <cstdint>
#include <string_view>

#include "platform/base/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto first = mill::parse_yaml({reinterpret_cast<const char*>(data), size});
    if (!first) return 0;
    const auto second = mill::parse_yaml(mill::dump_yaml(first->value), {.bytes = 64UL * 1024 * 1024, .nodes = 1'000'000, .depth = 64});
    mill::check(second.has_value() && second->value == first->value, "YAML changed on its way through text");
    return 0;
}
