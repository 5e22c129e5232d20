// protocol/identity.h -- the texts that an agent signs to be admitted or to change its key, and how a key is shown to a person.
#pragma once

#include <string>
#include <string_view>

namespace mill::protocol {

/// Asks for an admission: shows that who asks holds the private half of `public_key`. Names and modes hold no ':'.
inline std::string admission_request(std::string_view name, std::string_view mode, std::string_view environment, std::string_view public_key)
{
    return std::string("millwright-admission:ask:").append(name).append(":").append(mode).append(":").append(environment).append(":").append(public_key);
}

/// Asks how it stands: `challenge` is the factory's, of the answer to the request.
inline std::string admission_poll(std::string_view id, std::string_view challenge)
{
    return std::string("millwright-admission:poll:").append(id).append(":").append(challenge);
}

/// Signed by the old key and by the new one (`public_key`, base64).
inline std::string key_change(std::string_view agent_id, std::string_view public_key)
{
    return std::string("millwright-key:").append(agent_id).append(":").append(public_key);
}

}  // namespace mill::protocol
