// tests/bench/factory_core.cpp -- jobs a second through the factory's core with simulated agents, against the disk's own floor.
// bench_factory_core [JOBS [AGENTS [IN_FLIGHT [WAITING]]]] [--in FOLDER] [--parent FOLDER]
// --retain SECONDS: jobs that have ended go meanwhile, and how long one takes to be accepted is measured instead.
// --in: a store that stays, and may be there already (tests/bench/bench-scale fills it); the last line is JSON.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
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

struct Options {
    std::uint64_t jobs = 10'000;
    int agents = 50, in_flight = 256;
    std::uint64_t waiting = 0;   // jobs nobody fits, beside them
    int retain = 0;              // seconds
    std::string folder;          // kept
    std::string parent = std::filesystem::temp_directory_path().string();
};

Options read_options(int argc, char** argv)
{
    Options out;
    int place = 0;
    for (int i = 1; i < argc; ++i) {
        const std::string text = argv[i];
        if (text == "--in" && i + 1 < argc) out.folder = argv[++i];
        else if (text == "--retain" && i + 1 < argc) out.retain = std::atoi(argv[++i]);
        else if (text == "--parent" && i + 1 < argc) out.parent = argv[++i];
        else if (++place == 1) out.jobs = std::strtoull(argv[i], nullptr, 10);
        else if (place == 2) out.agents = std::atoi(argv[i]);
        else if (place == 3) out.in_flight = std::atoi(argv[i]);
        else out.waiting = std::strtoull(argv[i], nullptr, 10);
    }
    return out;
}

/// Resident memory of this process, in MiB.
double resident()
{
    std::ifstream status("/proc/self/statm");
    std::uint64_t all = 0, here = 0;
    status >> all >> here;
    return static_cast<double>(here) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1024.0 * 1024.0);
}

void set_up(Core& core, const Who& who)
{
    must(await<PackageRecord>([&](auto done) { core.put_package("p", "1.0.0", "bytes", Json::object(), Json::object(), PackageState::released, who, done); }).has_value(), "package");
    for (const std::string name : {"main", "waiting"}) {
        if (core.reader()->document("Trigger", name)) continue;
        const std::string environment = name == "main" ? "prod" : "nowhere";
        must(await<Document>([&](auto done) {
                 core.put_document("Deployment", name, Json::object({{"package", "p@1.0.0"}, {"environment", environment}}), 0, who, done);
             }).has_value(), "deployment");
        must(await<Document>([&](auto done) { core.put_document("Trigger", name, Json::object({{"deployment", name}}), 0, who, done); }).has_value(), "trigger");
    }
}

std::string new_agent(Core& core, const Who& who, const std::string& environment)
{
    const protocol::Token code = protocol::make_token("code");
    CodeRecord record;
    record.id = code.id;
    record.sha256 = platform::sha256(code.text);
    record.terms = Json::object({{"environment", environment}, {"approve", true}});
    record.expires = system_clock().now() + std::chrono::hours(1);
    core.put_code(record, who, {});
    const auto agent = await<AgentRecord>([&](auto done) {
        core.enrol({code.id, record.sha256, "a-" + new_uid(), random_bytes(32), protocol::AgentMode::unattended, {}}, done);
    });
    must(agent.has_value(), "agent");
    return agent->id;
}

/// Median and longest of `calls` calls, in milliseconds.
template <class Call>
std::pair<double, double> timed(int calls, Call call)
{
    std::vector<double> times;
    for (int i = 0; i < calls; ++i) {
        const double begin = now();
        call();
        times.push_back((now() - begin) * 1000);
    }
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2], times.back()};
}

/// How long a run takes to be accepted, one every 10 ms, in milliseconds: median, 99th percentile, longest.
template <class Between>
std::array<double, 3> accepting(Core& core, const RunRequest& request, const Who& who, double seconds, Between between)
{
    std::vector<double> times;
    std::binary_semaphore pause{0};
    for (const double end = now() + seconds; now() < end;) {
        const double begin = now();
        must(await<Accepted>([&](auto done) { core.accept_run(request, who, done); }).has_value(), "not accepted");
        times.push_back((now() - begin) * 1000);
        if (times.size() % 20 == 0) between();
        (void)pause.try_acquire_for(std::chrono::milliseconds(10));
    }
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2], times[times.size() * 99 / 100], times.back()};
}

void retain(Core& core, const RunRequest& request, const Who& who, int seconds, Json& figures)
{
    const auto removed = [&] {
        const auto state = await<RetentionState>([&](auto done) { core.retention(done); });
        must(state.has_value(), "retention");
        std::uint64_t jobs = 0;
        for (const RemovedCount& one : state->removed)
            if (one.kind == "jobs") jobs = one.ever;
        return jobs;
    };
    const auto idle = accepting(core, request, who, 0.9, [] {});   // it begins after a second
    const std::uint64_t before = removed();
    double longest = 0;
    const auto busy = accepting(core, request, who, seconds, [&] {
        const auto state = await<RetentionState>([&](auto done) { core.retention(done); });
        if (state) longest = std::max(longest, state->last["longestStepMs"].as_number());
    });
    const double each = static_cast<double>(removed() - before) / seconds;
    std::printf("accepted: p50 %.2f  p99 %.2f  longest %.2f ms; while jobs go: p50 %.2f  p99 %.2f  longest %.2f ms, %.0f jobs/s removed\n", idle[0], idle[1], idle[2], busy[0], busy[1],
                busy[2], each);
    std::printf("a step and its commit held the writer for at most %.1f ms, in runs that ended meanwhile\n", longest);
    figures.set("removedPerSecond", each).set("acceptIdleMs", Json::array({idle[0], idle[1], idle[2]})).set("acceptMs", Json::array({busy[0], busy[1], busy[2]}));
}

/// What people ask, of the store as it stands.
void ask(Core& core, Json& figures)
{
    const auto put = [&](const char* name, const std::pair<double, double>& took) {
        std::printf("%-34s p50 %8.3f ms  longest %8.3f ms\n", name, took.first, took.second);
        figures.set(name, Json::object({{"p50", took.first}, {"max", took.second}}));
    };
    const auto reader = core.reader();
    const auto page = [&](std::optional<protocol::JobState> state, const std::string& trigger, bool oldest) {
        JobQuery query;
        query.state = state;
        if (trigger == "no-such") query.environment = trigger;
        else query.trigger = trigger;
        query.oldest_first = oldest;
        query.limit = 100;
        must(reader->jobs(query).has_value(), "jobs");
    };
    put("jobs, newest 100", timed(20, [&] { page({}, "", false); }));
    put("jobs that wait, oldest 100", timed(20, [&] { page(protocol::JobState::ready, "", true); }));
    put("jobs of a trigger, 100", timed(20, [&] { page({}, "main", false); }));
    put("jobs that nothing matches, a page", timed(5, [&] { page(protocol::JobState::successful, "no-such", false); }));
    put("what waits, by trigger", timed(20, [&] { must(reader->waiting().has_value(), "waiting"); }));
    put("totals", timed(20, [&] { must(reader->totals().has_value(), "totals"); }));
    put("feed from its middle, 256 lines", timed(20, [&] { must(reader->feed(*reader->last_feed_sequence() / 2, 256).has_value(), "feed"); }));
    JobQuery query;
    query.state = protocol::JobState::ready;
    query.limit = 1;
    if (const auto waits = reader->jobs(query); waits && !waits->items.empty()) {
        const std::string uid = waits->items.front().uid;
        put("why of the last that waits", timed(20, [&] { must(await<Why>([&](auto done) { core.why(uid, done); }).has_value(), "why"); }));
        put("  a turn of the writer", timed(20, [&] { core.flush(); }));
    }
}

}  // namespace

int main(int argc, char** argv)
{
    const Options options = read_options(argc, argv);
    const std::string folder = options.folder.empty() ? fmt::format("{}/mill-bench-{}", options.parent, new_uid()) : options.folder;
    std::filesystem::create_directories(folder);
    const double floor = disk_floor(folder);
    Json figures = Json::object();
    CoreOptions core_options;
    core_options.folder = folder;
    const double opening = now(), before = resident();
    if (options.retain > 0) core_options.retention = {.jobs = Milliseconds(1), .logs = {}, .deliveries = {}, .audit = {}, .events = {}, .metrics = {}, .jobs_most = 0, .every = Milliseconds(1'000)};
    auto started = start_core(core_options, system_clock());
    must(started.has_value(), "the core does not start");
    const double open_ms = (now() - opening) * 1000;
    const Who who{"bench", ""};
    {
        Core& core = **started;
        core.flush();
        const double opened = resident() - before;
        std::printf("opened in %.0f ms, +%.1f MiB\n", open_ms, opened);
        figures.set("openMs", open_ms).set("openMiB", opened);
        set_up(core, who);
        RunRequest request;
        request.input = Json::object({{"order", "4711"}, {"text", std::string(900, 'x')}});
        request.context = Json::object({{"conversationId", "c-1"}});
        Bench bench{core, {}, options.jobs, std::counting_semaphore<1 << 20>(options.in_flight), {}, std::binary_semaphore{0}};
        for (int i = 0; i < options.agents; ++i) bench.agents.push_back(new_agent(core, who, "prod"));
        request.trigger = "waiting";
        for (std::uint64_t i = 0; i < options.waiting; ++i) {
            core.accept_run(request, who, {});
            if (i % 10'000 == 0) core.flush();
        }
        core.flush();
        if (options.folder.empty() || options.waiting == 0) ask(core, figures);
        if (options.retain > 0) retain(core, request, who, options.retain, figures);
        request.trigger = "main";
        if (const auto one = await<Accepted>([&](auto done) { core.accept_run(request, who, done); }); options.agents > 0 && one) {
            const auto took = timed(20, [&] { must(await<Why>([&](auto done) { core.why(one->job.uid, done); }).has_value(), "why"); });
            std::printf("why a job waits for %d agents       p50 %8.3f ms  longest %8.3f ms\n", options.agents, took.first, took.second);
            figures.set("why among agents", Json::object({{"p50", took.first}, {"max", took.second}}));
            must(await<JobRecord>([&](auto done) { core.cancel(one->job.uid, "", who, done); }).has_value(), "cancel");
        }
        for (const std::string& agent : bench.agents) bench.poll(agent);
        core.flush();

        const double begin = now(), cpu = cpu_seconds();
        for (std::uint64_t i = 0; i < options.jobs; ++i) {
            bench.room.acquire();
            core.accept_run(request, who, [](Result<Accepted> result) { must(result.has_value(), "not accepted"); });
        }
        if (options.jobs > 0) bench.all_ended.acquire();
        const double took = now() - begin, used = cpu_seconds() - cpu, count = static_cast<double>(std::max<std::uint64_t>(1, options.jobs));
        std::printf("jobs %llu, agents %d, in flight %d, waiting beside %llu\n", static_cast<unsigned long long>(options.jobs), options.agents, options.in_flight,
                    static_cast<unsigned long long>(options.waiting));
        std::printf("jobs/s %.0f   CPU ms/job %.3f (agents included)   durable 4 KiB write p50 %.2f ms   single commits would give %.0f jobs/s\n", count / took,
                    used * 1000 / count, floor, floor > 0 ? 1000 / floor / 3 : 0);
        std::printf("resident at the end: +%.1f MiB\n", resident() - before);
        figures.set("jobsPerSecond", count / took).set("cpuMsPerJob", used * 1000 / count).set("floorMs", floor).set("endMiB", resident() - before);
    }
    started->reset();
    const auto bytes = static_cast<double>(std::filesystem::file_size(folder + "/factory.db"));
    figures.set("bytes", bytes);
    std::printf("store: %.1f MiB\n%s\n", bytes / (1024 * 1024), dump_json(figures).c_str());
    if (options.folder.empty()) std::filesystem::remove_all(folder);
    return 0;
}
