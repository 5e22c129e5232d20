// What a runner says to its agent, one message a line; lines that begin with '@' are what else happens meanwhile. Whatever it says: what is recorded has no
// gap, no secret and one end; its questions keep their caps; what was kept of it is void before it is answered; and no more is acknowledged than is written.
#include <cstdint>
#include <charconv>
#include <set>
#include <string_view>

#include "agent/job_run.h"
#include "platform/base/log.h"
#include "protocol/asks.h"

using namespace mill;
using namespace mill::agent;

namespace {

constexpr std::string_view kSecret = "hunter2-hunter2";

struct Records : Ledger {
    bool full = false;
    std::uint64_t last = 0;
    std::size_t finals = 0, asked = 0;
    std::set<std::string> open;
    bool kept = false, not_held_said = false, waiting = false;

    Status write(const protocol::Event& event)
    {
        if (full) return fail(Errc::unavailable, "disk full");
        check(event.sequence == last + 1 && finals == 0, "events have no gap, and none is behind the last");
        Json body = event.body;   // output is data; the others are words of the contract, and of the package
        for (const char* member : {"output", "state", "reason", "level", "kind", "task", "name", "type", "startedAt"}) body.erase(member);
        check(dump_json(body).find(kSecret) == std::string::npos, "no secret is recorded");
        const auto again = protocol::parse_event(protocol::to_json(event));
        check(again && protocol::to_json(*again) == protocol::to_json(event), "what is recorded can be read again");
        last = event.sequence;
        finals += protocol::final_state(event) ? 1 : 0;
        return {};
    }
    Status taken(const protocol::AttemptId&, const std::string&) override { return {}; }
    Status started(const protocol::AttemptId&, const protocol::Event& running, SteadyTime) override { return write(running); }
    Status event(const protocol::AttemptId&, const protocol::Event& event) override { return write(event); }
    Status sync() override { return {}; }
    void extra(const protocol::AttemptId&, const Json&) override { check(false, "nobody watches this job"); }
    void not_held(const protocol::AttemptId&, const std::string&) override { not_held_said = true; }
    void ask(const protocol::AttemptId&, const Json& ask) override
    {
        open.insert(ask["question"].as_string());
        check(++asked <= 100'000 && open.size() <= protocol::kMostAsked, "no more questions than a job may ask");
        check(dump_json(ask).size() <= 2 * protocol::kMaxAskBytes && dump_json(ask).find(kSecret) == std::string::npos, "no secret is asked");
    }
    void unask(const protocol::AttemptId&, const std::string& question, const std::string& why) override
    {
        check(open.erase(question) == 1 && why.find(kSecret) == std::string::npos, "what is not wanted any more was asked");
    }
    void heard(const protocol::AttemptId&, const std::string& question) override { open.erase(question); }
    void told(const protocol::AttemptId&, const protocol::Event& event) override { check(dump_json(event.body).find(kSecret) == std::string::npos, "no secret is told"); }
    void waits(const protocol::AttemptId&, bool is) override { waiting = is; }
    Status keep(const protocol::AttemptId&, std::uint64_t after, const Json& snapshot) override
    {
        if (full) return fail(Errc::unavailable, "disk full");
        kept = snapshot.is_object();
        check(!kept || (after == last && finals == 0 && !open.empty()), "a run is kept only while it waits for an answer, behind its last event");
        check(!kept || (snapshot["ranMs"].as_integer() >= 0 && snapshot["waitedMs"].as_integer() >= 0), "its times are none before its begin");
        return {};
    }
    void released(const protocol::AttemptId&) override {}
};

struct World {
    FakeClock clock;
    Records records;
    platform::Channel keeper, runner;
    std::optional<KeeperClient> client;
    std::optional<JobRun> run;
    std::vector<ReadRequest> reads;

    World()
    {
        auto words = platform::Channel::pair(), job = platform::Channel::pair();
        check(words && job, "channels");
        keeper = std::move(words->first);
        client.emplace(std::move(words->second));
        runner = std::move(job->first);
        RunSpec spec;
        spec.id = {"0192-job", 1, 1};
        spec.package_path = "/packages/x.mwp";
        spec.input = Json::object();
        spec.credentials = Json::object({{"app", Json::object({{"password", kSecret}})}});
        spec.asks = "factory";
        spec.quota = ByteCount{2000};
        spec.grants.limits.time = std::chrono::minutes(30);
        spec.grants.limits.idle = std::chrono::minutes(10);
        spec.grants.publish_metrics = {"invoices.*"};
        spec.grants.read_metrics = {"invoices.*"};
        run.emplace(std::move(spec), JobRun::Ports{*client, records, clock, [](const Json&) {},
                                                   []() -> const std::string& {
                                                       static const std::string none;
                                                       return none;
                                                   },
                                                   [](SealRequest) { return true; },
                                                   [this](ReadRequest request) {
                                                       reads.push_back(std::move(request));
                                                       return reads.size() < 20;
                                                   }});
        run->start();
        run->on_started(std::move(job->second), "nonce", {});
        run->on_opened(Json::object());
    }
    void hear()
    {
        for (;;) {
            const auto told = runner.receive(std::chrono::milliseconds(0));
            if (!told || !*told) break;
            const auto json = parse_json((*told)->text);
            check(json && json->is_object(), "a runner is told in JSON");
            if (const Json* ack = json->find("ack")) check(static_cast<std::uint64_t>(ack->as_integer()) <= records.last, "no more is acknowledged than is written");
            check(!json->contains("answered") || !records.kept, "what was kept is void before an answer is given");
            check(!json->contains("go") || !records.kept, "and before it goes on by itself");
        }
        for (;;) {
            const auto word = keeper.receive(std::chrono::milliseconds(0));
            if (!word || !*word) break;
            const auto words = keeper::decode((*word)->text);
            check(words && !words->empty(), "the keeper is told in its words");
            check((*words)[0] != "time" || (words->size() == 3 && (*words)[2].front() != '-'), "no time is left less than none");
        }
    }
    void synced()
    {
        hear();
        if (!records.full) run->after_sync();
        hear();
    }
    void happen(std::string_view word)
    {
        const std::string_view name = word.substr(0, word.find(' ')), rest = word.substr(std::min(name.size() + 1, word.size()));
        if (name == "full") records.full = true;
        else if (name == "room") records.full = false;
        else if (name == "broker") run->on_broker();
        else if (name == "cancel") run->cancel({protocol::JobState::cancelled, protocol::Reason::cancelled_by, "enough", Json::object({{"by", "user anna"}})});
        else if (name == "stop") run->stop_with_agent({protocol::JobState::failed, protocol::Reason::agent_lost, "stops", Json()}, true);
        else if (name == "finish") run->stop_with_agent({protocol::JobState::failed, protocol::Reason::agent_lost, "stops", Json()}, false);
        else if (name == "read" && !reads.empty()) run->on_read(reads.back().number, Json::object({{"answer", Json::object()}}));
        else if (name == "opened") run->on_opened(Json::object());
        else if (name == "answer") run->on_answered(Json::object({{"question", rest}, {"state", "answered"}, {"answer", 7}}));
        else if (name == "end") run->on_end({});
        else if (name == "wait") {
            std::int64_t milliseconds = 0;
            std::from_chars(rest.data(), rest.data() + rest.size(), milliseconds);
            clock.advance(Milliseconds(std::clamp<std::int64_t>(milliseconds, 0, 100'000'000)));
            run->tick(clock.steady());
        }
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 8192) return 0;
    static const bool quiet = [] { log::start("fuzz", log::Level::error); return true; }();
    (void)quiet;
    World world;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    for (int lines = 0; !text.empty() && lines < 100 && world.run->phase() != JobRun::Phase::over; ++lines) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.starts_with('@')) world.happen(line.substr(1));
        else if (world.runner.send(line, nullptr, {}, Milliseconds(0)) && world.run->channel() != nullptr) world.run->on_readable();
        world.synced();
    }
    // However it went, it comes to an end of which one record tells, or was never begun.
    world.records.full = false;
    for (int i = 0; i < 3 && world.run->phase() != JobRun::Phase::over; ++i) {
        world.run->on_end({});
        world.clock.advance(std::chrono::seconds(2));
        world.run->tick(world.clock.steady());
        world.synced();
    }
    check(world.run->phase() == JobRun::Phase::over, "an attempt whose runner ended is over");
    check(world.records.finals == 1 || world.records.not_held_said || world.records.kept, "its end is recorded, or it goes on later");
    check(world.records.finals == 0 || !world.records.kept, "nothing is kept of what has ended");
    return 0;
}
