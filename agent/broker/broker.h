// agent/broker/broker.h -- takes channels from the keeper and grants from the agent, and keeps one Attempt each.
#pragma once

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "agent/broker/attempt.h"
#include "agent/broker/opening.h"
#include "agent/keeper/messages.h"
#include "platform/base/mailbox.h"
#include "platform/channel.h"
#include "platform/crypto_hpke.h"

namespace mill::broker {

inline constexpr std::size_t kMaxAttempts = 4096;

/// Thread: one. Ended attempts are destroyed on a thread of their own, the user's keyring is asked on another: it may wait for that person.
class Broker {
public:
    explicit Broker(platform::Channel keeper);
    /// Until the keeper is gone or stop is requested. Errors: corrupt (the keeper's messages).
    Status run(std::stop_token stop);

private:
    void hear_keeper(platform::Message message);
    void hear_agent(const platform::Message& message);
    void greet_agent();
    void hear_credential(const keeper::Words& words, const platform::Handle& file);
    Status open(const Json& what);
    void take_credential(const std::string& name, const Result<std::string>& text);
    Status finish(Opening& opening);
    Status opened(const std::string& key, const Status& done, Json revealed = Json::array());
    void forget_opening(const std::string& key);
    Status say(const Json& message);   ///< to the agent
    Attempt* find(const std::string& key, bool make);
    void drop_if_unused(const std::string& key);

    platform::Channel keeper_, agent_;
    Budget budget_;
    const platform::SealingKey key_;   // made anew by each broker: credentials are sealed to it, and it is nowhere else
    std::map<std::string, std::unique_ptr<Attempt>> attempts_;
    std::vector<Opening> openings_;    // wait for credentials of this machine
    Mailbox<std::unique_ptr<Attempt>> ended_{kMaxAttempts};
    platform::Channel bell_in_, bell_out_;  // a credential of the keyring is there
    Mailbox<std::string> keyring_names_;
    Mailbox<std::pair<std::string, Result<std::string>>> keyring_texts_;
    std::jthread burier_, keyring_;
};

}  // namespace mill::broker
