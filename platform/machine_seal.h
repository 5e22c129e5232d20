// platform/machine_seal.h -- a secret in a file that only this machine's administrator opens again: a copy of the disk's files elsewhere is of no
// use. With systemd-creds(1) and the machine's own key (/var/lib/systemd/credential.secret).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/result.h"

namespace mill::platform {

/// Beside a folder that is its user's own to write in: /var/lib/millwright/agent.sealed for /var/lib/millwright/agent.
std::string seal_folder_beside(const std::string& folder);

/// Empty: this process can seal and open. Else why not, for people.
std::string why_no_seal();

/// FOLDER/NAME holds `secret` (text, at most 64 KiB), replaced in one step, and was opened again for a look. FOLDER is made for root alone.
/// Blocks: some 20 ms. Errors: denied (not root; the folder or the one above it is somebody else's to write in), unavailable, invalid (the name).
Status seal_secret(const std::string& folder, const std::string& name, std::string_view secret);

/// Errors: not_found, denied, corrupt (sealed on another machine, damaged, another name), unavailable.
Result<std::string> open_sealed(const std::string& folder, const std::string& name);

/// What lies in the folder; nothing when it is not root's alone.
std::vector<std::string> sealed_names(const std::string& folder);
/// One that is not there: fine.
Status remove_sealed(const std::string& folder, const std::string& name);

}  // namespace mill::platform
