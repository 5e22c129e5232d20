// agent/admission.h -- enrolment without a code: asks the factory, shows a short code, waits until an administrator decides.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "agent/factory_client.h"
#include "platform/crypto.h"
#include "protocol/states.h"

namespace mill::agent {

/// What a person must see while it waits.
struct Waiting {
    std::string code;          ///< "BQKR-7TZM"
    std::string fingerprint;   ///< of this agent's key
    Milliseconds life{0};
};

struct AdmissionWish {
    std::string factory_url, name, environment;
    protocol::AgentMode mode = protocol::AgentMode::unattended;
    platform::SigningKey key;
};

/// The identity as the factory says it. `show` is called with each new code (after a restart of the factory there is another one).
/// Blocks: until it is decided, or fifteen minutes. Errors: denied (refused: says why), timeout (nobody decided), cancelled, conflict
/// (name taken), not_found (the factory knows no admission), those of `call`; `refusal` as `call` fills it.
Result<Json> be_admitted(platform::HttpClient& client, const AdmissionWish& wish, const std::function<void(const Waiting&)>& show, const Clock& clock,
                         std::stop_token stop, Refusal& refusal);

}  // namespace mill::agent
