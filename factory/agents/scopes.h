// factory/agents/scopes.h -- the parts of the API that a token is narrowed to.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/result.h"

namespace mill::factory {

/// Numbers stand in access tokens: append only.
enum class Area { resources, packages, credentials, access, runs, jobs, deliveries, agents, events, audit, metrics, questions, none };
std::string_view name(Area area);

/// A set of areas, each to read or to change. Thread: a value.
class Scopes {
public:
    static constexpr Scopes everything() { return Scopes(0xffffffff); }
    static constexpr Scopes nothing() { return Scopes(0); }
    static constexpr Scopes from_bits(std::uint32_t bits) { return Scopes(bits); }

    /// "jobs", "jobs:read", … Errors: invalid (names the word, and what there is).
    Status add(std::string_view word);
    bool has(Area area, bool change) const;
    bool within(const Scopes& other) const { return (bits_ & ~other.bits_) == 0; }
    bool all() const { return bits_ == 0xffffffff; }
    bool empty() const { return bits_ == 0; }
    std::uint32_t bits() const { return bits_; }
    std::vector<std::string> words() const;   ///< as `add` takes them; none when it is all

private:
    explicit constexpr Scopes(std::uint32_t bits) : bits_(bits) {}
    std::uint32_t bits_;
};

}  // namespace mill::factory
