// agent/masked_event.h -- what a job says of itself, without the secrets of its credentials.
#pragma once

#include "platform/base/redact.h"
#include "protocol/event.h"

namespace mill::agent {

/// The runner knows no secret, but what it read or ran may have told it one. All texts of the event but the job's output are masked: the
/// output is data, and others go on with it. A text that was cut is masked up to its cut.
/// The value with every text masked.
Json masked(const Json& value, const Redactor& redactor);
void mask_event(protocol::Event& event, const Redactor& redactor);

}  // namespace mill::agent
