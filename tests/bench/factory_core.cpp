// tests/bench/factory_core.cpp -- jobs a second through the factory's core with simulated agents, against the disk's own floor.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <semaphore>
#include <vector>

#include <fmt/format.h>

#include "factory/core.h"
#include "platform/base/ids.h"
#include "platform/crypto.h"
#include "protocol/token.h"

using namespace mill;
using namespace mill::factory;
using Seconds = std::chrono::duration<double>;

namespace {

double cpu_seconds()
{
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

double now() { return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Median of writing 4 KiB and making them durable, in milliseconds.
double disk_floor(const std::string& folder)
{
    const std::string path = folder + "/floor";
    const int file = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    std::vector<double> times;
    const std::string page(4096, 'x');
    for (int i = 0; i < 200; ++i) {
        const double begin = now();
        if (write(file, page.data(), page.size()) < 0 || fdatasync(file) != 0) return 0;
        times.push_back((now() - begin) * 1000);
    }
    close(file);
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

void must(bool ok, const char* what)
{
    if (ok) return;
    std::fprintf(stderr, "bench: %s\n", what);
    std::exit(1);
}

struct Bench {
    Core& core;
    std::vector<std::string> agents;
    std::uint64_t jobs;
    std::counting_semaphore<1 << 20> room;       // callers in flight, as with that many HTTP connections
    std::atomic<std::uint64_t> ended{0};
    std::binary_semaphore all_ended{0};

    void poll(const std::string& agent)
    {
        core.park({agent, 16, {}, {}}, [this, agent](Result<PollAnswer> answer) {
            if (!answer) return;
            for (const auto& offer : answer->offers) start(agent, offer.id);
            poll(agent);
        });
    }
    /// Two reports, as a job that takes a moment makes: running; then its steps, a line of log and the end.
    void start(const std::string& agent, const protocol::AttemptId& id)
    {
        const WallTime time = system_clock().now();
        EventBatch first{id, {}};
        first.events.push_back({1, protocol::state_event(1, time, protocol::JobState::running)});
        core.ingest(agent, {std::move(first)}, [this, agent, id, time](Result<std::vector<EventAnswer>> answer) {
            must(answer && answer->at(0).acknowledged == 1, "running was not acknowledged");
            EventBatch rest{id, {}};
            for (std::uint64_t i = 2; i <= 4; ++i)
                rest.events.push_back({i, protocol::Event{i, time, protocol::EventKind::step,
                                                          Json::object({{"task", "/do/0/a"}, {"name", "a"}, {"type", "set"}, {"state", "completed"}})}});
            rest.events.push_back({5, protocol::Event{5, time, protocol::EventKind::log, Json::object({{"level", "info"}, {"text", "looked up"}})}});
            rest.events.push_back({6, protocol::state_event(6, time, protocol::JobState::successful, protocol::Reason::completed,
                                                            Json::object({{"output", Json::object({{"reply", "Order 4711 is shipped"}})}}))});
            core.ingest(agent, {std::move(rest)}, [this](Result<std::vector<EventAnswer>> end) {
                must(end && end->at(0).acknowledged == 6, "the end was not acknowledged");
                room.release();
                if (++ended == jobs) all_ended.release();
            });
        });
    }
};

}  // namespace

int main(int argc, char** argv)
{
    const std::uint64_t jobs = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000;
    const int agent_count = argc > 2 ? std::atoi(argv[2]) : 50;
    const int in_flight = argc > 3 ? std::atoi(argv[3]) : 256;
    const std::uint64_t waiting = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;   // jobs nobody fits, beside them
    const std::string folder = fmt::format("{}/mill-bench-{}", argc > 5 ? argv[5] : std::filesystem::temp_directory_path().string(), new_uid());
    std::filesystem::create_directories(folder);
    const double floor = disk_floor(folder);

    CoreOptions options;
    options.folder = folder;
    auto started = start_core(options, system_clock());
    must(started.has_value(), "the core does not start");
    const Who who{"bench", ""};
    {
        Core& core = **started;
        must(await<PackageRecord>([&](auto done) { core.put_package("p", "1.0.0", "bytes", Json::object(), Json::object(), PackageState::released, who, done); }).has_value(), "package");
        for (const std::string name : {"main", "waiting"}) {
            const std::string environment = name == "main" ? "prod" : "nowhere";
            must(await<Document>([&](auto done) {
                     core.put_document("Deployment", name, Json::object({{"package", "p@1.0.0"}, {"environment", environment}}), 0, who, done);
                 }).has_value(), "deployment");
            must(await<Document>([&](auto done) { core.put_document("Trigger", name, Json::object({{"deployment", name}}), 0, who, done); }).has_value(), "trigger");
        }
        RunRequest request;
        request.input = Json::object({{"order", "4711"}, {"text", std::string(900, 'x')}});
        request.context = Json::object({{"conversationId", "c-1"}});
        Bench bench{core, {}, jobs, std::counting_semaphore<1 << 20>(in_flight), {}, std::binary_semaphore{0}};
        for (int i = 0; i < agent_count; ++i) {
            const protocol::Token code = protocol::make_token("code");
            CodeRecord record;
            record.id = code.id;
            record.sha256 = platform::sha256(code.text);
            record.terms = Json::object({{"environment", "prod"}, {"approve", true}});
            record.expires = system_clock().now() + std::chrono::hours(1);
            core.put_code(record, who, {});
            const auto agent = await<AgentRecord>([&](auto done) {
                core.enrol({code.id, record.sha256, fmt::format("a-{}", i), random_bytes(32), protocol::AgentMode::unattended, {}}, done);
            });
            must(agent.has_value(), "agent");
            bench.agents.push_back(agent->id);
        }
        request.trigger = "waiting";
        for (std::uint64_t i = 0; i < waiting; ++i) {
            core.accept_run(request, who, {});
            if (i % 10'000 == 0) core.flush();
        }
        core.flush();
        request.trigger = "main";
        for (const std::string& agent : bench.agents) bench.poll(agent);
        core.flush();

        const double begin = now(), cpu = cpu_seconds();
        for (std::uint64_t i = 0; i < jobs; ++i) {
            bench.room.acquire();
            core.accept_run(request, who, [](Result<Accepted> result) { must(result.has_value(), "not accepted"); });
        }
        bench.all_ended.acquire();
        const double took = now() - begin, used = cpu_seconds() - cpu;
        std::printf("jobs %llu, agents %d, in flight %d, waiting beside %llu\n", static_cast<unsigned long long>(jobs), agent_count, in_flight,
                    static_cast<unsigned long long>(waiting));
        std::printf("jobs/s %.0f   CPU ms/job %.3f (agents included)   durable 4 KiB write p50 %.2f ms   single commits would give %.0f jobs/s\n",
                    static_cast<double>(jobs) / took, used * 1000 / static_cast<double>(jobs), floor, floor > 0 ? 1000 / floor / 3 : 0);
    }
    started->reset();
    std::printf("store: %.0f bytes/job\n", static_cast<double>(std::filesystem::file_size(folder + "/factory.db")) / static_cast<double>(jobs + waiting));
    std::filesystem::remove_all(folder);
    return 0;
}
