// tests/unit/factory_core/versions.h -- a deployment of order-status, and what moves it between versions.
#pragma once

#include "tests/unit/factory_core/world.h"

namespace mill::factory::test {

inline Json at_version(const std::string& version, const std::string& region = "eu")
{
    return Json::object({{"package", "order-status@" + version}, {"environment", "prod"}, {"permissions", "as-requested"}, {"variables", Json::object({{"region", region}})}});
}

inline Result<VersionMoved> move(World& world, const std::string& version, bool rebind, std::uint64_t generation = 0)
{
    const auto now = world.core().reader()->document("Deployment", "order-status");
    REQUIRE(now);
    Json spec = at_version(version);
    spec.set("kind", "Deployment").set("name", "order-status");
    VersionOrder order{.deployment = "order-status", .spec = spec, .generation = generation == 0 ? now->generation : generation, .what = "rolled_back", .why = "slow", .rebind_waiting = rebind};
    return await<VersionMoved>([&](auto done) { world.core().move_deployment(order, world.who, done); });
}

inline Preflight preflight(World& world, std::size_t most = 20)
{
    auto out = await<Preflight>([&](auto done) { world.core().preflight("order-status", most, done); });
    REQUIRE(out);
    return *out;
}

inline bool has(const std::vector<WhyReason>& reasons, std::string_view code)
{
    for (const WhyReason& reason : reasons)
        if (reason.code == code) return true;
    return false;
}

}  // namespace mill::factory::test
