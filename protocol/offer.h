// protocol/offer.h -- the factory's offer of one attempt to one agent.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "platform/base/json.h"
#include "protocol/event.h"
#include "protocol/permissions.h"
#include "protocol/signature.h"

namespace mill::protocol {

struct Offer {
    AttemptId id;
    std::string package_name;      ///< "order-status"
    std::string package_version;   ///< "1.2.0"
    std::string package_digest;    ///< "sha256:HEX" of the .mwp bytes
    std::vector<PackageSignature> signatures{};   ///< of that package, as its publishers made them
    std::string workflow;          ///< name within the package, "main" by default
    std::string deployment;
    std::string environment;
    std::string trigger;
    std::string launch{};          ///< its agent's own person started it there, under this id; empty: somebody else did
    std::string terms{};           ///< its agent began it by itself while the factory was away, by these of the factory's bindings; empty: it was offered
    Json input;
    std::vector<std::string> secret_input{};   ///< where in it (JSON pointers) is what its schema calls a password
    Json variables;                ///< NAME → value
    Json credentials;              ///< NAME in the package → name in the factory
    Permissions permissions;       ///< granted by the deployment
    std::string run_as;            ///< the environment's user of the machine; empty: the agent's usual one
    bool repeatable = false;
    bool trace = false;            ///< step records carry what each task got and came to
    std::string attempt_token;     ///< fetches this package and these credentials; secret
    std::chrono::milliseconds lease{60'000};
};

/// A job's input: its caller's members over its trigger's own; objects are merged, everything else replaced.
Json merge_input(const Json& below, const Json& above);

Json to_json(const Offer& offer);
Result<Offer> parse_offer(const Json& json);

}  // namespace mill::protocol
