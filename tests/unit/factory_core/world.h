// tests/unit/factory_core/world.h -- a factory core in a temporary folder with a standing clock, and agents that are a few lines.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "factory/core.h"
#include "platform/base/ids.h"
#include "platform/crypto.h"
#include "protocol/token.h"

namespace mill::factory::test {

using protocol::JobState;
using protocol::Reason;
using std::chrono::minutes;
using std::chrono::seconds;

struct Folder {
    std::string path = fmt::format("{}/mill-core-{}", std::filesystem::temp_directory_path().string(), new_uid());
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() { std::filesystem::remove_all(path); }
};

/// A poll's answer, when it came.
struct Parking {
    std::uint64_t ticket = 0;
    std::shared_ptr<std::optional<Result<PollAnswer>>> answer = std::make_shared<std::optional<Result<PollAnswer>>>();
    bool answered() const { return answer->has_value(); }
    const PollAnswer& value() const
    {
        REQUIRE(answered());
        REQUIRE(answer->value());
        return *answer->value();
    }
};

class World {
public:
    explicit World(CoreOptions options = {}, std::shared_ptr<Folder> folder = {}, std::shared_ptr<FakeClock> own_clock = {})
        : clock_(own_clock ? own_clock : std::make_shared<FakeClock>()), folder_(folder ? folder : std::make_shared<Folder>()), options_(std::move(options))
    {
        options_.folder = folder_->path;
        options_.timer_thread = false;
        open();
    }
    void open()
    {
        auto started = start_core(options_, *clock_);
        REQUIRE(started);
        core_ = std::move(*started);
    }
    void restart()
    {
        core_.reset();
        open();
    }
    Core& core() { return *core_; }
    FakeClock& clock() { return *clock_; }
    const std::string& folder() const { return folder_->path; }
    void pass(Microseconds time)
    {
        core_->flush();
        clock_->advance(time);
        core_->run_timers();
        core_->flush();
    }

    Document put(const std::string& kind, const std::string& name, Json spec)
    {
        spec.set("kind", kind);
        spec.set("name", name);
        auto out = await<Document>([&](auto done) { core_->put_document(kind, name, spec, 0, who, done); });
        REQUIRE(out);
        return *out;
    }
    void package(const std::string& name = "order-status", Json manifest = Json::object(), const std::string& version = "1.2.0")
    {
        auto out = await<PackageRecord>([&](auto done) { core_->put_package(name, version, "bytes of " + name + version, manifest, Json::object(), PackageState::released, who, done); });
        REQUIRE(out);
    }
    /// A package, a deployment in environment `prod` and the trigger `orders`.
    void orders(Json trigger = Json::object(), Json deployment = Json::object(), Json manifest = Json::object())
    {
        package("order-status", manifest);
        deployment.set("package", "order-status@1.2.0").set("environment", "prod").set("permissions", "as-requested");
        put("Deployment", "order-status", deployment);
        trigger.set("deployment", "order-status").set("type", "api");
        put("Trigger", "orders", trigger);
    }
    AgentRecord agent(const std::string& name, const std::string& environment = "prod", protocol::AgentMode mode = protocol::AgentMode::unattended,
                      Json facts = Json::object(), bool approve = true)
    {
        const protocol::Token code = protocol::make_token("code");
        CodeRecord record;
        record.id = code.id;
        record.sha256 = platform::sha256(code.text);
        record.terms = Json::object({{"environment", environment}, {"approve", approve}, {"approveIn", Json::array({"*"})}});
        record.expires = clock_->now() + minutes(10);
        REQUIRE(await<CodeRecord>([&](auto done) { core_->put_code(record, who, done); }));
        auto out = await<AgentRecord>([&](auto done) { core_->enrol({code.id, record.sha256, name, std::string(32, 'k') + name, mode, facts}, done); });
        REQUIRE(out);
        return *out;
    }
    Parking park(const AgentRecord& agent, std::uint32_t want = 1, std::vector<OfferAnswer> answers = {}, std::string unable = {})
    {
        Parking out;
        out.ticket = core_->park({agent.id, want, std::move(answers), std::move(unable)}, [answer = out.answer](Result<PollAnswer> result) { *answer = std::move(result); });
        core_->flush();
        return out;
    }
    Result<Accepted> try_run(Json input = Json::object(), RunRequest request = {})
    {
        if (request.trigger.empty()) request.trigger = "orders";
        request.input = std::move(input);
        auto out = await<Accepted>([&](auto done) { core_->accept_run(request, who, done); });
        core_->flush();
        return out;
    }
    JobRecord run(Json input = Json::object(), RunRequest request = {})
    {
        auto out = try_run(std::move(input), std::move(request));
        REQUIRE(out);
        return out->job;
    }
    /// The agent srv-1 polls, a run of `orders` is accepted, and its first attempt is offered.
    struct Offered {
        AgentRecord agent;
        Parking parking;
        JobRecord job;
        protocol::AttemptId id;
    };
    Offered offered(Json input = Json::object())
    {
        Offered out{agent("srv-1"), {}, {}, {}};
        out.parking = park(out.agent);
        out.job = run(std::move(input));
        out.id = out.parking.value().offers.at(0).id;
        return out;
    }
    protocol::Event state(std::uint64_t sequence, JobState what, std::optional<Reason> reason = {}, Json more = {})
    {
        return protocol::state_event(sequence, clock_->now(), what, reason, std::move(more));
    }
    static protocol::Event line(std::uint64_t sequence, const std::string& text)
    {
        return {sequence, {1'700'000'000'000'000}, protocol::EventKind::log, Json::object({{"level", "info"}, {"text", text}})};
    }
    EventAnswer report(const AgentRecord& agent, const protocol::AttemptId& id, std::vector<protocol::Event> events)
    {
        EventBatch batch{id, {}};
        for (auto& event : events) batch.events.push_back({event.sequence, std::move(event)});
        return report_batch(agent, std::move(batch));
    }
    EventAnswer report_batch(const AgentRecord& agent, EventBatch batch)
    {
        auto out = await<std::vector<EventAnswer>>([&](auto done) { core_->ingest(agent.id, {batch}, done); });
        core_->flush();
        REQUIRE(out);
        REQUIRE(out->size() == 1);
        return out->front();
    }
    JobRecord job(const std::string& uid)
    {
        auto out = core_->reader()->job(uid);
        REQUIRE(out);
        return *out;
    }
    std::vector<std::string> line_of(const std::string& uid)
    {
        std::vector<std::string> out;
        auto rows = core_->reader()->timeline(uid);
        REQUIRE(rows);
        for (const TimelineRow& row : *rows) out.push_back(row.what);
        return out;
    }
    Why why(const std::string& uid)
    {
        auto out = await<Why>([&](auto done) { core_->why(uid, done); });
        REQUIRE(out);
        return *out;
    }
    std::vector<std::string> codes(const std::string& uid)
    {
        std::vector<std::string> out;
        for (const WhyReason& reason : why(uid).reasons) out.push_back(reason.code);
        return out;
    }

    Who who{"admin", "127.0.0.1"};

private:
    std::shared_ptr<FakeClock> clock_;   // shared: a second world may go on with the same time
    std::shared_ptr<Folder> folder_;     // and the same folder
    CoreOptions options_;
    std::unique_ptr<Core> core_;
};

}  // namespace mill::factory::test
