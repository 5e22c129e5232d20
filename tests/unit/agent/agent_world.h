// tests/unit/agent/agent_world.h -- an enrolled agent's parts against a real loopback server; the test plays the runs.
#pragma once

#include <atomic>
#include <thread>

#include "agent/link.h"
#include "tests/unit/agent/fake_factory.h"

namespace mill::test {

using namespace std::chrono_literals;
using agent::Config;
using agent::Desk;
using agent::FactoryClient;
using agent::Journal;
using agent::Tokens;
using protocol::AttemptId;
using protocol::JobState;
using protocol::Reason;

inline const AttemptId kJob{"0192-job", 1, 1};

inline Json offer_json(const AttemptId& id = kJob)
{
    protocol::Offer offer;
    offer.id = id;
    offer.package_name = "order-status";
    offer.package_version = "1.0.0";
    offer.package_digest = "sha256:" + std::string(64, 'a');
    offer.workflow = "main";
    offer.deployment = offer.trigger = "d";
    offer.environment = "default";
    offer.input = Json::object();
    offer.variables = Json::object();
    offer.credentials = Json::object();
    offer.attempt_token = "mw_attempt_1";
    return to_json(offer);
}

inline Json offers(Json::Array items) { return Json::object({{"offers", Json(std::move(items))}}); }

/// A link with what is around it; the test plays the runs.
struct AgentWorld {
    TemporaryFolder folder;
    FakeFactory factory;
    Config config;
    agent::Identity identity = factory.enrolled(folder.path);
    agent::Policy policy;
    Tokens tokens{identity, config, system_clock()};
    FactoryClient client{identity, config, tokens}, other{identity, config, tokens};
    std::unique_ptr<Journal> journal;
    agent::Slots slots{2, system_clock()};
    Desk desk{slots};
    Mailbox<agent::Fetch> fetches;
    Mailbox<agent::Command> commands;
    std::atomic<int> subscribed = 0;
    std::function<void(const std::set<std::string>&)> revoked = [](const std::set<std::string>&) {};   ///< the same
    std::function<void(const std::string&)> examine;   ///< set before start_link
    std::unique_ptr<agent::Link> link;
    std::vector<std::jthread> threads;

    AgentWorld()
    {
        policy.signing.unsigned_packages = true;
        auto opened = Journal::open(folder.path + "/journal", system_clock());
        REQUIRE(opened);
        journal = std::move(*opened);
    }
    void start_link()
    {
        link = std::make_unique<agent::Link>(agent::Link::Parts{identity, policy, system_clock(), tokens, client, *journal, desk, fetches,
                                                                [this](agent::Command command) { commands.send(std::move(command)); },
                                                                [this](const agent::Terms&) { ++subscribed; }, Json::object({{"cpus", 2}}), nullptr, {},
                                                                [this](const std::set<std::string>& keys) { revoked(keys); }, examine});
        desk.set_on_change([this] { link->nudge(); });
        threads.emplace_back([this](std::stop_token stop) { link->run(stop); });
    }
    template <class T>
    T command()
    {
        auto next = commands.receive_for(10s);
        REQUIRE(next);
        REQUIRE(std::holds_alternative<T>(*next));
        return std::get<T>(std::move(*next));
    }
    ~AgentWorld()
    {
        desk.set_on_change({});
        threads.clear();
    }
};

}  // namespace mill::test
