// factory/agents/factory_key.h -- the factory's Ed25519 key: agents pin its public half.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/result.h"
#include "platform/crypto.h"

namespace mill::factory {

class FactoryKey {
public:
    explicit FactoryKey(platform::SigningKey key) : key_(std::move(key)) {}
    const std::string& public_key() const { return key_.public_key; }
    /// Over "millwright-session:" + challenge: shows an agent that it talks to the factory whose key it pinned.
    Result<std::string> prove(std::string_view challenge) const;
    /// A secret derived for one purpose.
    std::string derive(std::string_view purpose) const;

private:
    platform::SigningKey key_;
};

/// Reads DIR/factory-key, or makes it (0600). Errors: denied, corrupt, unavailable.
Result<FactoryKey> open_factory_key(const std::string& folder);

}  // namespace mill::factory
