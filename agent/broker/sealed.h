// agent/broker/sealed.h -- opens the box in which the factory sealed an attempt's credentials. The key lives in this process only.
#pragma once

#include <string>
#include <vector>

#include "platform/base/json.h"
#include "platform/crypto_hpke.h"
#include "protocol/sealed.h"

namespace mill::broker {

/// `sealed` is {"to", "agent", "box"}: the key it was sealed to, the agent's id, the bytes; all but the id in base64. `attempt` is whose box
/// it must be. Errors: conflict (sealed to another key: that of a broker that is gone), corrupt (not this attempt's,
/// damaged, or no box). An error never holds what was in the box.
Result<protocol::Boxed> open_box(const platform::SealingKey& key, const Json& sealed, const std::string& attempt);

/// The texts of those credentials that a job may have in plain (`reveal` of its grants), for the agent to mask. No grant, no texts.
Json revealed_texts(const Json& grants, const Json& credentials);

}  // namespace mill::broker
