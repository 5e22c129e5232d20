// tests/unit/agent/runs_world.h -- real runs; the test plays keeper, broker and runner.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include <catch2/catch.hpp>

#include "agent/runs.h"

namespace mill::test {

using namespace std::chrono_literals;
using agent::RunSpec;
using agent::Runs;
using platform::Channel;
using protocol::AttemptId;
using protocol::Event;
using protocol::EventKind;
using protocol::JobState;
using protocol::Reason;

/// Keeps what the runs record; can refuse to, as a full disk would.
class MemoryLedger : public agent::Ledger {
public:
    Status taken(const AttemptId&, const std::string&) override { return {}; }
    Status started(const AttemptId& id, const Event& running, SteadyTime) override { return event(id, running); }
    Status event(const AttemptId&, const Event& event) override
    {
        const std::scoped_lock lock(mutex_);
        if (full_) return fail(Errc::unavailable, "disk full");
        events_.push_back(event);
        changed_.notify_all();
        return {};
    }
    Status sync() override { return {}; }
    void extra(const AttemptId&, const Json& message) override
    {
        const std::scoped_lock lock(mutex_);
        extras_.push_back(message);
        changed_.notify_all();
    }
    void ask(const AttemptId&, const Json& ask) override
    {
        const std::scoped_lock lock(mutex_);
        asked_.push_back(ask);
        changed_.notify_all();
    }
    void unask(const AttemptId&, const std::string& question, const std::string&) override
    {
        const std::scoped_lock lock(mutex_);
        unasked_.push_back(question);
        changed_.notify_all();
    }
    void heard(const AttemptId&, const std::string& question) override
    {
        const std::scoped_lock lock(mutex_);
        heard_.push_back(question);
        changed_.notify_all();
    }
    void waits(const AttemptId&, bool waits) override
    {
        const std::scoped_lock lock(mutex_);
        waits_ = waits;
        changed_.notify_all();
    }
    Status keep(const AttemptId&, std::uint64_t after, const Json& snapshot) override
    {
        const std::scoped_lock lock(mutex_);
        if (full_) return fail(Errc::unavailable, "disk full");
        kept_ = snapshot;
        kept_after_ = after;
        changed_.notify_all();
        return {};
    }
    void not_held(const AttemptId&, const std::string& why) override
    {
        const std::scoped_lock lock(mutex_);
        not_held_ = why;
        changed_.notify_all();
    }
    void released(const AttemptId&) override
    {
        const std::scoped_lock lock(mutex_);
        ++released_;
        changed_.notify_all();
    }
    void set_full(bool full)
    {
        const std::scoped_lock lock(mutex_);
        full_ = full;
    }
    template <class Test>
    bool until(Test test)
    {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 10s, [&] { return test(*this); });
    }
    std::vector<Event> events()
    {
        const std::scoped_lock lock(mutex_);
        return events_;
    }
    std::string not_held_why()
    {
        const std::scoped_lock lock(mutex_);
        return not_held_;
    }
    bool wait_released() { return until([](auto& l) { return l.released_ > 0; }); }

    std::vector<Event> events_;
    std::vector<Json> extras_;
    std::vector<Json> asked_;
    std::vector<std::string> unasked_, heard_;
    bool waits_ = false;
    Json kept_;
    std::uint64_t kept_after_ = 0;
    std::string not_held_;
    int released_ = 0;

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool full_ = false;
};

/// The test plays keeper, broker and runner; the runs are real.
struct RunsWorld {
    MemoryLedger ledger;
    Channel keeper, broker, runner;
    std::unique_ptr<Runs> runs;
    std::jthread thread;
    const AttemptId id{"0192-job", 1, 1};
    std::vector<Channel> kept;
    Mailbox<agent::SealRequest> seals;   ///< what is asked of the factory; the test answers

    explicit RunsWorld(std::size_t warm = 0)
    {
        auto pair = Channel::pair();
        REQUIRE(pair);
        keeper = std::move(pair->first);
        runs = std::make_unique<Runs>(agent::KeeperClient(std::move(pair->second)), ledger, system_clock(), warm, [this](agent::SealRequest request) { return seals.try_send(std::move(request)); });
    }
    ~RunsWorld()
    {
        if (thread.joinable()) {
            thread.request_stop();
            thread.join();
        }
    }
    void go()
    {
        thread = std::jthread([this](std::stop_token stop) { (void)runs->run(stop); });
    }
    RunSpec spec() const
    {
        RunSpec spec;
        spec.id = id;
        spec.package_path = "/packages/x.mwp";
        spec.input = Json::object({{"order", 4711}});
        return spec;
    }
    keeper::Words heard()
    {
        auto message = keeper.receive(10s);
        REQUIRE(message);
        REQUIRE(*message);
        auto words = keeper::decode((*message)->text);
        REQUIRE(words);
        return *words;
    }
    void say(const keeper::Words& words, const platform::Handle* handle = nullptr) { REQUIRE(keeper.send(keeper::encode(words), handle)); }
    void say_with_channel(const keeper::Words& words, Channel& ours)
    {
        auto pair = Channel::pair();
        REQUIRE(pair);
        ours = std::move(pair->first);
        say(words, &pair->second.handle());
    }
    Json from(Channel& channel)
    {
        auto message = channel.receive(10s);
        REQUIRE(message);
        REQUIRE(*message);
        auto json = parse_json((*message)->text);
        REQUIRE(json);
        return *json;
    }
    void to_runner_end(const Json& message) { REQUIRE(runner.send(dump_json(message))); }
    void tell(const Event& event) { to_runner_end(Json::object({{"event", to_json(event)}})); }
    void start(RunSpec spec)
    {
        runs->post(agent::command::Take{id, "{}"});
        runs->post(agent::command::Start{std::move(spec), std::nullopt});
        CHECK(heard() == keeper::Words{"broker"});
        const auto words = heard();
        REQUIRE(words.size() == 3);
        CHECK(words[0] == "start");
        CHECK(words[1] == id.key());
        CHECK(keeper::decode_request(words[2])->package_path == "/packages/x.mwp");
    }
    void up_to_begin(RunSpec given)
    {
        start(std::move(given));
        say_with_channel({"broker"}, broker);
        say_with_channel({"started", id.key(), "n1"}, runner);
        CHECK(from(broker)["open"]["key"] == Json(id.key()));
        REQUIRE(broker.send(dump_json(Json::object({{"opened", Json::object({{"key", id.key()}})}}))));
        to_runner_end(Json::object({{"ready", 1}, {"version", 1}, {"nonce", "n1"}}));
        const Json begin = from(runner)["begin"];
        CHECK(begin["input"]["order"] == Json(4711));
        CHECK(begin["firstSequence"] == Json(2));
        REQUIRE(ledger.until([](auto& l) { return l.events_.size() == 1; }));  // recorded before it was begun
    }
    void ended(const std::string& exit = "0", const std::string& signal = "0", const std::string& flags = "")
    {
        say({"ended", id.key(), exit, signal, flags, "12", "4096", "said on stderr"});
    }
};

inline Event log_event(std::uint64_t sequence) { return {sequence, WallTime{1}, EventKind::log, Json::object({{"level", "info"}, {"text", "x"}})}; }

inline Event done_event(std::uint64_t sequence)
{
    return protocol::state_event(sequence, WallTime{2}, JobState::successful, Reason::completed, Json::object({{"output", 1}}));
}

}  // namespace mill::test
