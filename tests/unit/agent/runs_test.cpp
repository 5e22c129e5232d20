#include "agent/runs.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include <catch2/catch.hpp>

using namespace mill;
using namespace std::chrono_literals;
using agent::Cause;
using agent::RunSpec;
using agent::Runs;
using platform::Channel;
using protocol::AttemptId;
using protocol::Event;
using protocol::EventKind;
using protocol::JobState;
using protocol::Reason;

namespace {

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
    std::string not_held_;
    int released_ = 0;

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool full_ = false;
};

/// The test plays keeper, broker and runner; the runs are real.
struct World {
    MemoryLedger ledger;
    Channel keeper, broker, runner;
    std::unique_ptr<Runs> runs;
    std::jthread thread;
    const AttemptId id{"0192-job", 1, 1};
    std::vector<Channel> kept;

    World()
    {
        auto pair = Channel::pair();
        REQUIRE(pair);
        keeper = std::move(pair->first);
        runs = std::make_unique<Runs>(agent::KeeperClient(std::move(pair->second)), ledger, system_clock());
    }
    ~World()
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
        say_with_channel({"started", id.key()}, runner);
        CHECK(from(broker)["open"]["key"] == Json(id.key()));
        REQUIRE(broker.send(dump_json(Json::object({{"opened", Json::object({{"key", id.key()}})}}))));
        to_runner_end(Json::object({{"ready", 1}, {"version", 1}}));
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

Event log_event(std::uint64_t sequence) { return {sequence, WallTime{1}, EventKind::log, Json::object({{"level", "info"}, {"text", "x"}})}; }

Event done_event(std::uint64_t sequence)
{
    return protocol::state_event(sequence, WallTime{2}, JobState::successful, Reason::completed, Json::object({{"output", 1}}));
}

}  // namespace

TEST_CASE("a run goes from its start to its last event, each event recorded before it is acknowledged", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    CHECK(world.ledger.events()[0].sequence == 1);
    world.tell(log_event(2));
    CHECK(world.from(world.runner)["ack"] == Json(2));
    world.tell(done_event(3));
    CHECK(world.from(world.runner)["ack"] == Json(3));
    world.ended();
    CHECK(world.heard() == keeper::Words{"forget", world.id.key()});
    CHECK(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 3);
    CHECK(world.ledger.events()[2].body["output"] == Json(1));
    CHECK(world.from(world.broker)["close"]["key"] == Json(world.id.key()));
}

TEST_CASE("a runner that ends without a word ends its job as runner_lost, with how it ended", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.tell(log_event(2));
    world.ended("134", "6");
    REQUIRE(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 3);  // what it said before it died is kept
    CHECK(world.ledger.events()[2].sequence == 3);
    CHECK(world.ledger.events()[2].body["reason"] == Json("runner_lost"));
    CHECK(world.ledger.events()[2].body["evidence"]["signal"] == Json(6));
    CHECK(world.ledger.events()[2].body["evidence"]["said"] == Json("said on stderr"));
}

TEST_CASE("a runner that used up its memory ends its job as limit_memory", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.ended("0", "9", "memory");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("limit_memory"));
}

TEST_CASE("a job over its wall-clock limit is killed and ends as timeout", "[runs]")
{
    World world;
    world.go();
    auto spec = world.spec();
    spec.grants.limits.time = 50ms;
    world.up_to_begin(std::move(spec));
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("timeout"));
    CHECK(world.ledger.events().back().body["error"]["status"] == Json(408));
}

TEST_CASE("a cancel is said to the runner, which may end by itself", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.runs->post(agent::command::Cancel{world.id, "anna", "wrong order"});
    CHECK(world.from(world.runner)["cancel"]["by"] == Json("anna"));
    world.tell(protocol::state_event(2, WallTime{2}, JobState::cancelled, Reason::cancelled_by));
    CHECK(world.from(world.runner)["ack"] == Json(2));
    world.ended();
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().size() == 2);
}

TEST_CASE("a cancel before the runner was begun ends the job as cancelled and kills the sandbox", "[runs]")
{
    World world;
    world.go();
    world.start(world.spec());
    world.runs->post(agent::command::Cancel{world.id, "anna", "no"});
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.say_with_channel({"started", world.id.key()}, world.runner);
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 1);
    CHECK(world.ledger.events()[0].sequence == 1);
    CHECK(world.ledger.events()[0].body["state"] == Json("cancelled"));
    CHECK(world.ledger.events()[0].body["evidence"]["by"] == Json("anna"));
}

TEST_CASE("a sandbox that the machine refuses ends the job as refused, a busy machine gives it back", "[runs]")
{
    World world;
    world.go();
    world.start(world.spec());
    SECTION("refused")
    {
        world.say({"refused", world.id.key(), "denied", "no user namespaces here"});
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.events()[0].body["reason"] == Json("refused"));
        CHECK_THAT(world.ledger.events()[0].body["error"]["detail"].as_string(), Catch::Contains("user namespaces"));
    }
    SECTION("given back")
    {
        world.say({"refused", world.id.key(), "unavailable", "too many processes"});
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.events().empty());
        CHECK_THAT(world.ledger.not_held_why(), Catch::Contains("too many processes"));
    }
}

TEST_CASE("a runner that breaks its contract is killed", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    SECTION("by a hole in its events") { world.tell(log_event(4)); }
    SECTION("by what is no JSON") { REQUIRE(world.runner.send("{nonsense")); }
    SECTION("by an unknown word") { world.to_runner_end(Json::object({{"sudo", true}})); }
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("internal"));
    CHECK_THAT(world.ledger.events().back().body["error"]["detail"].as_string(), Catch::Contains("contract"));
}

TEST_CASE("events beyond the quota become counted gaps, the final one is kept", "[runs]")
{
    World world;
    world.go();
    auto spec = world.spec();
    spec.quota = ByteCount{1};
    world.up_to_begin(std::move(spec));
    world.tell(log_event(2));
    world.tell(done_event(3));
    REQUIRE(world.ledger.until([](auto& l) { return l.events_.size() == 3; }));
    CHECK(world.ledger.events()[1].kind == EventKind::gap);
    CHECK(world.ledger.events()[1].body["lost"] == Json(1));
    CHECK(world.ledger.events()[2].body["output"] == Json(1));
}

TEST_CASE("while the disk is full nothing is acknowledged, afterwards all of it arrives", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.ledger.set_full(true);
    world.tell(log_event(2));
    world.tell(log_event(3));
    CHECK_FALSE(*world.runner.receive(300ms));
    world.ledger.set_full(false);
    Json ack = world.from(world.runner);
    if (ack["ack"] == Json(2)) ack = world.from(world.runner);
    CHECK(ack["ack"] == Json(3));
}

TEST_CASE("a new broker is told of every run", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.broker = Channel();
    world.say_with_channel({"broker"}, world.broker);
    CHECK(world.from(world.broker)["open"]["key"] == Json(world.id.key()));
}

TEST_CASE("a repeatable attempt is killed when its lease runs out", "[runs]")
{
    World world;
    world.go();
    auto spec = world.spec();
    spec.repeatable = true;
    world.up_to_begin(std::move(spec));
    world.runs->post(agent::command::Lease{world.id, system_clock().steady() + 30ms});
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("agent_lost"));
}

TEST_CASE("after a restart of the agent a run that the keeper holds goes on from the last event", "[runs]")
{
    World world;
    world.go();  // the thread stands until recover was called: it waits for words
    world.thread.request_stop();
    world.thread.join();
    std::thread keeper([&] {
        CHECK(world.heard() == keeper::Words{"isolation"});
        CHECK(world.heard() == keeper::Words{"list"});
        world.say({"isolation", "1", "1", "cgroup-v2", "none", "7", "", "shared"});
        world.say_with_channel({"held", world.id.key()}, world.runner);
        world.say({"listed"});
    });
    agent::Remembered item{world.spec(), true, false, system_clock().steady(), 7, {}};
    const Status recovered = world.runs->recover({item}, 5s);
    keeper.join();
    REQUIRE(recovered);
    CHECK(world.runs->isolation()["landlock"] == Json(7));
    CHECK(world.from(world.runner)["resume"] == Json(7));
    world.thread = std::jthread([&](std::stop_token stop) { (void)world.runs->run(stop); });
    CHECK(world.heard() == keeper::Words{"broker"});
    world.tell(log_event(7));  // sent again: known
    CHECK(world.from(world.runner)["ack"] == Json(7));
    world.tell(done_event(8));
    CHECK(world.from(world.runner)["ack"] == Json(8));
    world.ended();
    REQUIRE(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 1);
}

TEST_CASE("a repeatable attempt that was taken over is killed at its lease's end, too", "[runs]")
{
    World world;
    agent::Remembered item{world.spec(), true, false, system_clock().steady(), 7, system_clock().steady() + 50ms};
    item.spec.repeatable = true;
    world.say_with_channel({"held", world.id.key()}, world.runner);
    world.say({"listed"});
    REQUIRE(world.runs->recover({item}, 5s));
    world.go();
    for (const char* word : {"isolation", "list", "broker"}) CHECK(world.heard() == keeper::Words{word});
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("agent_lost"));
}

TEST_CASE("after a restart of the agent what the keeper does not hold is settled", "[runs]")
{
    World world;
    agent::Remembered item{world.spec(), true, false, system_clock().steady(), 7, {}};
    SECTION("started: nobody knows how far it came")
    {
        world.say({"listed"});
        REQUIRE(world.runs->recover({item}, 5s));
        REQUIRE(world.ledger.events().size() == 1);
        CHECK(world.ledger.events()[0].sequence == 8);
        CHECK(world.ledger.events()[0].body["reason"] == Json("outcome_unknown"));
    }
    SECTION("taken and not started: it is given back, and a sandbox of it is killed")
    {
        item.started = false;
        item.last_sequence = 0;
        world.say_with_channel({"held", world.id.key()}, world.runner);
        world.say({"listed"});
        REQUIRE(world.runs->recover({item}, 5s));
        CHECK_FALSE(world.ledger.not_held_why().empty());
        CHECK(world.ledger.events().empty());
        CHECK(world.heard() == keeper::Words{"isolation"});
        CHECK(world.heard() == keeper::Words{"list"});
        CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    }
    SECTION("ended: only its end is left to be reported")
    {
        item.ended = true;
        world.say({"listed"});
        REQUIRE(world.runs->recover({item}, 5s));
        CHECK(world.ledger.events().empty());
        CHECK(world.ledger.wait_released());
    }
}

TEST_CASE("a stopping agent cancels what runs and gives back what was not begun", "[runs]")
{
    World world;
    world.go();
    SECTION("begun")
    {
        world.up_to_begin(world.spec());
        world.runs->post(agent::command::StopAll{"the agent stops", true});
        CHECK(world.from(world.runner)["cancel"]["why"] == Json("the agent stops"));
    }
    SECTION("not begun")
    {
        world.start(world.spec());
        world.runs->post(agent::command::StopAll{"the agent stops", true});
        CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
        world.say_with_channel({"started", world.id.key()}, world.runner);
        world.ended("0", "9", "killed");
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.events().empty());
        CHECK(world.ledger.not_held_why() == "the agent stops");
    }
}
