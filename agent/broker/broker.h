// agent/broker/broker.h -- takes channels from the keeper and grants from the agent, and keeps one Attempt each.
#pragma once

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "agent/broker/attempt.h"
#include "platform/base/mailbox.h"
#include "platform/channel.h"
#include "platform/crypto_hpke.h"

namespace mill::broker {

inline constexpr std::size_t kMaxAttempts = 4096;

/// Thread: one. Ended attempts are destroyed on a thread of their own: a stuck call must not hold up the others.
class Broker {
public:
    explicit Broker(platform::Channel keeper);
    /// Until the keeper is gone or stop is requested. Errors: corrupt (the keeper's messages).
    Status run(std::stop_token stop);

private:
    void hear_keeper(platform::Message message);
    void hear_agent(const platform::Message& message);
    Status open(const Json& what);
    Status say(const Json& message);   ///< to the agent
    Attempt* find(const std::string& key, bool make);
    void drop_if_unused(const std::string& key);

    platform::Channel keeper_, agent_;
    const platform::SealingKey key_;   // made anew by each broker: credentials are sealed to it, and it is nowhere else
    std::map<std::string, std::unique_ptr<Attempt>> attempts_;
    Mailbox<std::unique_ptr<Attempt>> ended_{kMaxAttempts};
    std::jthread burier_;
};

}  // namespace mill::broker
