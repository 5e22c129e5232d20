// platform/secret_store.h -- files on this machine that each hold one secret: systemd's credentials (LoadCredential=), and a folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/result.h"
#include "platform/channel.h"

namespace mill::platform {

inline constexpr std::size_t kMaxSecretFile = 256 * 1024;

struct SecretPlaces {
    std::string service;   ///< systemd's $CREDENTIALS_DIRECTORY with "PREFIX.NAME"; empty: none
    std::string prefix;
    std::string folder;    ///< with "NAME.yaml"; empty: none
    std::vector<std::uint32_t> owners;  ///< whose files are taken from `folder`, beside root's and ours
};

struct FoundSecret {
    std::string name, path;
    Status usable;         ///< else what is wrong with it, and what to type
};

/// The file of `name`, opened for reading: the service's first. In the folder it must be a regular file, no link, of an owner as above,
/// closed to group and others; the folder must be no link, and nobody else's to write in. Never waits, whatever lies there.
/// Errors: not_found (says where it was looked for), denied (says what is wrong, and the command that mends it), invalid (the name),
/// too_large, unavailable.
Result<Handle> open_secret(const SecretPlaces& places, const std::string& name);

/// All that are there, by name; one that lies in both places once. At most 1000. A place that cannot be read adds nothing.
std::vector<FoundSecret> list_secrets(const SecretPlaces& places);

}  // namespace mill::platform
