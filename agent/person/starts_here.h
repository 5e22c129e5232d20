// agent/person/starts_here.h -- what a person starts while the factory is away, and which needs nothing of it: it begins at once.
#pragma once

#include <string>
#include <vector>

#include "agent/person/launches.h"
#include "platform/base/json.h"
#include "protocol/event.h"

namespace mill::agent {

/// Of one factory. Thread: any; never waits for the network.
class StartsHere {
public:
    virtual ~StartsHere() = default;
    virtual bool has_package(const std::string& digest) const = 0;
    /// `terms` as the factory gave them beforehand, `schema` of its input (null: none). The job's uid, once it has a slot. Errors: denied (policy.yaml), not_found (its package is not on this
    /// machine), conflict (no slot, or none wanted), corrupt.
    virtual Result<std::string> begin(const Launch& launch, const Json& terms, const Json& schema) = 0;
    /// Offers of those that the factory knows nothing of yet, with `launch`, `given` (of the input, by the person), `terms`, `title` and `asked`. The journal has them.
    virtual std::vector<Json> begun() const = 0;
    /// The factory knows of it: its events are reported from now on.
    virtual void is_known(const protocol::AttemptId& id) = 0;
    /// The factory does not want it: it ends, and nothing of it is reported.
    virtual void refuse(const protocol::AttemptId& id, const std::string& why) = 0;
};

}  // namespace mill::agent
