// agent/credentials_command.h -- what a person is told about the credentials that this machine holds itself.
#pragma once

#include <string>
#include <vector>

#include "platform/secret_store.h"

namespace mill::agent {

/// Where the keeper of this data folder looks, as far as it can be told from a terminal: $CREDENTIALS_DIRECTORY, else that of the service.
platform::SecretPlaces secret_places(const std::string& data_folder);

struct HeldCredential {
    std::string name, path;
    std::vector<std::string> members;  ///< names of what it holds; empty unless it was read
    std::string wrong;                 ///< empty: nothing
};
/// `read`: looks into each one, too. Never a value.
std::vector<HeldCredential> held_credentials(const platform::SecretPlaces& places, bool read);

/// Prints them; the exit status.
int show_credentials(const std::string& data_folder, bool check, bool json);

}  // namespace mill::agent
