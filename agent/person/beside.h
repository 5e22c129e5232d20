// agent/person/beside.h -- what the link to a factory asks and tells where a person is beside the agent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "protocol/offer.h"

namespace mill::agent {

/// One factory's. Thread: any; nothing here blocks for longer than a small file's way to the disk.
class Beside {
public:
    virtual ~Beside() = default;

    enum class Word { asking, granted, declined };
    /// What holds for an offer that has its slot: `offer` as the policy admitted it, `said` as it came. All but what this person started here needs their
    /// consent, whether the factory says so (`consent`) or not. The answer to the factory is given here, and the slot of one that is declined let go. The
    /// same offer again gets the same answer, also after a restart.
    virtual Word hear(const protocol::Offer& offer, const Json& said) = 0;
    /// A session begins: the factory may be another process, which offers what it does not know to be held again, with another token.
    virtual void new_session() = 0;
    /// One that has its slot was offered again.
    virtual void hear_again(const protocol::AttemptId& id, const Json& said) = 0;
    /// Those that were asked about and may begin now, as they came; the factory is answered. Each once.
    virtual std::vector<Json> granted() = 0;
    virtual bool may_begin() const = 0;   ///< there are some
    /// Nobody wants an answer any more. The offer, when one was still waited for.
    virtual std::optional<Json> withdrawn(const protocol::AttemptId& id) = 0;

    /// Members for the facts of the session: `session`, `faces`.
    virtual Json facts() const = 0;
    virtual Json session() const = 0;
    /// The factory has something new for this person.
    virtual void has_news(std::int64_t version) = 0;
    /// Whether the factory answers. `why`: why not.
    virtual void online(bool is, const std::string& why) = 0;
};

}  // namespace mill::agent
