// agent/link.h -- the thread that asks for work: opens the session, keeps one poll parked, passes offers and cancels on.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "agent/desk.h"
#include "agent/factory_client.h"
#include "agent/fetcher.h"
#include "agent/journal.h"
#include "agent/person/beside.h"
#include "agent/policy.h"
#include "agent/runs.h"
#include "agent/self/vitals.h"

namespace mill::agent {

class Questions;

/// What the factory says of itself and of this agent when a session begins.
struct Terms {
    std::uint64_t epoch = 0;
    Milliseconds poll{30'000}, lease{60'000}, renew{15'000};
    bool approved = true;
    std::string state;
};

/// Thread: `run` its own; `nudge` any.
class Link {
public:
    struct Parts {
        const Identity& identity;
        const Policy& policy;
        const Clock& clock;
        Tokens& tokens;
        FactoryClient& factory;
        Journal& journal;
        Desk& desk;
        Mailbox<Fetch>& fetches;
        std::function<void(Command)> tell;
        std::function<void(const Terms&)> subscribed;  ///< a session is open and the poll goes out now
        Json facts;
        Vitals::Loop* vital = nullptr;
        std::optional<Milliseconds> interval{};        ///< not subscribed: between two polls; else they are parked
        std::function<void(const std::set<std::string>& keys)> revoked{};   ///< keys of publishers that the factory says were revoked; before any offer of the same answer
        std::function<void(const std::string& id)> examine{};   ///< the factory asks this agent to examine itself; must not block
        Questions* questions = nullptr;                ///< whose answers come by the poll
        Beside* beside = nullptr;                      ///< the person at this agent, when it is attended
        std::function<std::string()> files_version{};  ///< of the list of files that it watches
        std::function<void(const Json& list)> watch_files{};   ///< {version, watches}: from now on; must not block
    };
    explicit Link(Parts parts) : parts_(std::move(parts)) {}
    void run(std::stop_token stop);
    /// Something changed that the parked poll should know: a slot got free while it wanted none, or there are answers.
    void nudge();
    /// The machine slept: what is parked is on a connection that nobody holds any more.
    void again();

private:
    Status open_session(const std::string& token, std::stop_token stop, Refusal& refusal);
    Status poll(const std::string& token, std::stop_token stop, Refusal& refusal);
    bool on_offer(const Json& json);   ///< something new came of it
    bool ask_first(const protocol::Offer& offer, const Json& json);
    bool may_begin() const;
    void begin_granted();
    void begin(const protocol::AttemptId& id, const Result<protocol::Offer>& offer, const Json& json, SteadyTime end);
    void on_answer(const Json& answer);
    void hear_revoked(const Json& list);
    void promise(Milliseconds time);
    void pass_interval(std::stop_token stop);
    void pause(const Error& error, const Refusal& refusal, std::stop_token stop);

    Parts parts_;
    Terms terms_;
    Backoff backoff_;
    bool failing_ = false;
    std::string denied_;                  // what was said last about it
    bool fresh_token_ = true;             // a 401 may be answered with a new token at once
    bool connection_lost_ = false;        // the last failure was no answer at all
    unsigned nothing_new_ = 0;            // polls in a row that gave only what is known
    std::mutex mutex_;
    std::stop_source parked_;             // ends the poll that is parked now
    unsigned wanted_ = 0;
    bool is_parked_ = false, parked_rests_ = false;  // …for a time that is known
    Json session_said_;                   // of the person's desktop, as the factory knows it
};

}  // namespace mill::agent
