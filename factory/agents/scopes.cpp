#include "factory/agents/scopes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace mill::factory {
namespace {

constexpr std::array<std::string_view, 12> kAreas{"resources", "packages", "credentials", "access", "runs", "jobs", "deliveries", "agents", "events", "audit", "metrics", "questions"};

/// Two bits of each area: reading, changing.
constexpr std::uint32_t bit(std::size_t area, bool change) { return 1U << (2 * area + (change ? 1 : 0)); }

}  // namespace

std::string_view name(Area area) { return area == Area::none ? "none" : kAreas[static_cast<std::size_t>(area)]; }

Status Scopes::add(std::string_view word)
{
    const auto colon = word.find(':');
    const std::string_view area = word.substr(0, colon);
    const bool read_only = colon != std::string_view::npos;
    for (std::size_t i = 0; i < kAreas.size(); ++i) {
        if (kAreas[i] != area || (read_only && word.substr(colon) != ":read")) continue;
        bits_ |= bit(i, false) | (read_only ? 0 : bit(i, true));
        return {};
    }
    return fail(Errc::invalid, fmt::format("there is no scope '{}': say {}, each alone or with :read behind it", word.substr(0, 60), fmt::join(kAreas, ", ")));
}

bool Scopes::has(Area area, bool change) const
{
    if (area == Area::none) return all();
    return (bits_ & bit(static_cast<std::size_t>(area), change)) != 0;
}

std::vector<std::string> Scopes::words() const
{
    std::vector<std::string> out;
    if (all()) return out;
    for (std::size_t i = 0; i < kAreas.size(); ++i) {
        const bool reads = (bits_ & bit(i, false)) != 0, changes = (bits_ & bit(i, true)) != 0;
        if (changes) out.emplace_back(kAreas[i]);
        else if (reads) out.push_back(std::string(kAreas[i]) + ":read");
    }
    return out;
}

}  // namespace mill::factory
