#include "platform/base/units.h"

#include <charconv>

#include <fmt/format.h>

namespace mill {
namespace {
constexpr std::pair<std::string_view, std::uint64_t> kUnits[] = {
    {"TiB", 1ULL << 40U}, {"GiB", 1ULL << 30U}, {"MiB", 1ULL << 20U}, {"KiB", 1ULL << 10U}, {"B", 1}, {"", 1}};
}

Result<ByteCount> parse_bytes(std::string_view text)
{
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc()) {
        const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
        for (const auto& [name, size] : kUnits)
            if (unit == name && number <= (1ULL << 50U) / size) return ByteCount{number * size};
    }
    return fail(Errc::invalid, fmt::format("'{}' is no size; write 64KiB, 256MiB or 1GiB", text));
}

std::string format_bytes(ByteCount count)
{
    for (const auto& [name, size] : kUnits)
        if (count.bytes >= size && count.bytes % size == 0) return fmt::format("{}{}", count.bytes / size, name);
    return "0B";
}

}  // namespace mill
