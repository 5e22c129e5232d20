// agent/identity.h -- who this agent is to one factory: DIR/factories/ID/ with key, counter, pinned factory key, agent.json.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/publishers.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/channel.h"
#include "platform/crypto.h"
#include "protocol/states.h"

namespace mill::agent {

/// The private half of the agent's key: 32 bytes; secret. Copies share it: a change of the key is seen by all of them. Thread: any.
class AgentKey {
public:
    AgentKey() = default;
    AgentKey(std::string bytes) { set(std::move(bytes)); }
    std::string get() const
    {
        const std::scoped_lock lock(shared_->mutex);
        return shared_->bytes;
    }
    void set(std::string bytes) const
    {
        const std::scoped_lock lock(shared_->mutex);
        shared_->bytes = std::move(bytes);
    }

private:
    struct Shared {
        std::mutex mutex;
        std::string bytes;
    };
    std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

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
    Publishers publishers{};     ///< as the factory named them at enrolment
    AgentKey private_key;
};

/// Writes all of it so that a crash leaves nothing half done: the folder appears in one step. Errors: conflict (this factory is
/// enrolled already), denied, unavailable.
Status save_identity(const std::string& data_folder, const Identity& identity);

/// The same where one is already: identity and key are replaced (a crash leaves the old or the new one), the journal and the counter stay.
/// Errors: not_found, denied, unavailable.
Status replace_identity(const std::string& data_folder, const Identity& identity);

/// The factories of a data folder. Errors: corrupt (a file is damaged or open to others), denied, unavailable.
Result<std::vector<std::string>> enrolled_factories(const std::string& data_folder);
/// Those that are served: all, or `only` (of config.yaml). Errors: also invalid (none, or not that one).
Result<std::vector<std::string>> served_factories(const std::string& data_folder, const std::string& only);
Result<Identity> load_identity(const std::string& data_folder, const std::string& factory_id);

/// The key that is to follow (DIR/factories/ID/key.next): made when there is none, the same until it is promoted. Errors: unavailable, corrupt.
Result<platform::SigningKey> next_key(const Identity& identity);
/// The same when there is one. Errors: not_found, corrupt, denied.
Result<platform::SigningKey> known_next_key(const Identity& identity);
/// The next key is the key from now on, on disk and in memory. Errors: unavailable.
Status promote_key(const Identity& identity, const platform::SigningKey& next);
/// How long ago the key was written.
Milliseconds key_age(const Identity& identity);

/// The durable session counter: one more than ever before, on disk before it is returned. Errors: unavailable, corrupt.
Result<std::uint64_t> next_counter(const Identity& identity);

/// Held while a program uses the data folder. Errors: conflict (another one does), denied.
Result<platform::Handle> lock_data_folder(const std::string& data_folder);

}  // namespace mill::agent
