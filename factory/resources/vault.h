// factory/resources/vault.h -- seals the values of credentials with a key that lies outside the data folder.
#pragma once

#include <string>
#include <string_view>

#include "factory/store/records.h"
#include "platform/base/json.h"

namespace mill::factory {

/// Thread: any.
class Vault {
public:
    explicit Vault(std::string key) : key_(std::move(key)) {}
    /// The credential's name is bound in: sealed bytes moved to another row do not open.
    std::string seal(std::string_view name, const Json& values) const;
    /// {MEMBER: text}. Errors: corrupt (damaged, or sealed with another key: says so).
    Result<Json> open(const CredentialRecord& record) const;

private:
    std::string key_;   // 32 bytes
};

/// Reads the key, or makes it (0600) when there is no such file. Errors: denied (file open to others), corrupt, unavailable.
Result<Vault> open_vault(const std::string& key_file);

/// "DIR.key" beside the data folder: not within it, nor in its backups.
std::string default_vault_key_file(std::string_view folder);

}  // namespace mill::factory
