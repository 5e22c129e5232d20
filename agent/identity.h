// agent/identity.h -- who this agent is to one factory: DIR/factories/ID/ with key, counter, pinned factory key, agent.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/base/json.h"
#include "platform/channel.h"
#include "protocol/states.h"

namespace mill::agent {

struct Identity {
    std::string folder;          ///< DIR/factories/ID
    std::string factory_url;     ///< "https://factory.example.com:8443", without a slash at the end
    std::string factory_id;
    std::string factory_key;     ///< 32 bytes, pinned at enrolment
    std::string token_url;       ///< the JWT's audience
    std::string agent_id;
    std::string name;
    std::string environment;
    protocol::AgentMode mode = protocol::AgentMode::unattended;
    std::string private_key;     ///< 32 bytes; secret
};

/// Writes all of it so that a crash leaves nothing half done: the folder appears in one step. Errors: conflict (this factory is
/// enrolled already), denied, unavailable.
Status save_identity(const std::string& data_folder, const Identity& identity);

/// The factories of a data folder. Errors: corrupt (a file is damaged or open to others), denied, unavailable.
Result<std::vector<std::string>> enrolled_factories(const std::string& data_folder);
Result<Identity> load_identity(const std::string& data_folder, const std::string& factory_id);

/// The durable session counter: one more than ever before, on disk before it is returned. Errors: unavailable, corrupt.
Result<std::uint64_t> next_counter(const Identity& identity);

/// Held while a program uses the data folder. Errors: conflict (another one does), denied.
Result<platform::Handle> lock_data_folder(const std::string& data_folder);

}  // namespace mill::agent
