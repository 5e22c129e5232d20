// protocol/sealed.h -- credentials on their way from the factory to the broker of an attempt, in a box that only that broker can open
// (HPKE: platform/crypto_hpke.h). The agent asks for the box and hands it on.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/json.h"
#include "protocol/event.h"

namespace mill::protocol {

/// What a box is sealed with: HPKE's info, and its aad for one attempt on one agent.
inline constexpr std::string_view kSealedInfo = "millwright credentials 1";
std::string sealed_context(std::string_view agent_id, const AttemptId& attempt);

/// What the agent's enrolled key (Ed25519) signs when it asks: this broker's key, for this attempt. Without it whoever ends the agent's TLS
/// could put in a key of his own.
std::string sealing_request(const AttemptId& attempt, std::string_view broker_key);

/// What is in the box.
struct Boxed {
    Json credentials = Json::object();  ///< NAME in the package → {kind, hosts, …}
    Json machine = Json::object();      ///< NAME in the package → {name: of the credential, kind, hosts}: the agent's machine has the values
};
std::string boxed_text(const Boxed& boxed);
Result<Boxed> read_boxed(std::string_view text);  ///< 8 MiB and 32 levels at most. Errors: corrupt

}  // namespace mill::protocol
