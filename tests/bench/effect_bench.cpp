// tests/bench/effect_bench.cpp -- what an effect costs by way of the broker: a small file.read asked of the real broker by hand, and as a step of
// the real runner, against a bare round trip of the same bytes between two processes. One line of JSON each. All outside the sandbox.
//     cmake --build --preset release --target bench_effect && MILL_BIN=build/release/bin build/release/bench/bench_effect [ROUNDS]
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "agent/keeper/messages.h"
#include "platform/base/ids.h"
#include "platform/channel.h"
#include "platform/files.h"
#include "platform/process.h"
#include "workflows/package.h"

namespace {

using namespace mill;
using platform::Channel;
using Micros = std::chrono::duration<double, std::micro>;

template <class T> T must(Result<T> result)
{
    if (result) return std::move(*result);
    fmt::print(stderr, "bench: {}\n", result.error().what);
    std::exit(1);
}
void must(const Status& status)
{
    if (status) return;
    fmt::print(stderr, "bench: {}\n", status.error().what);
    std::exit(1);
}

std::string hear(Channel& channel)
{
    auto message = must(channel.receive(std::chrono::seconds(60)));
    if (message) return std::move(message->text);
    fmt::print(stderr, "bench: no answer\n");
    std::exit(1);
}

/// One end stays here, the other becomes descriptor `number` of a child.
std::unique_ptr<platform::Process> start(const std::string& program, std::vector<std::string> arguments, std::vector<Channel*> ours)
{
    std::vector<platform::Handle> ends;
    platform::ProcessSpec spec;
    spec.program = program;
    spec.arguments = std::move(arguments);
    spec.inherit_output = true;
    ends.reserve(ours.size());
    for (Channel* here : ours) {
        auto pair = must(Channel::pair());
        *here = std::move(pair.first);
        ends.push_back(std::move(pair.second).take_handle());
    }
    for (std::size_t i = 0; i < ends.size(); ++i) spec.handles.emplace_back(3 + static_cast<int>(i), &ends[i]);
    return must(platform::start_process(spec));
}

/// A child that answers every message with as many bytes as the broker's answer has.
int echo(std::size_t bytes)
{
    Channel channel = Channel::from(platform::Handle(3));
    const std::string answer(bytes, 'x');
    for (;;) {
        auto message = channel.receive();
        if (!message || !channel.send(answer)) return 0;
    }
}

double median_trip(Channel& channel, const std::function<std::string(long)>& request, long rounds)
{
    std::vector<double> took;
    took.reserve(static_cast<std::size_t>(rounds));
    for (long i = 0; i < rounds; ++i) {
        const std::string text = request(i);
        const auto begin = std::chrono::steady_clock::now();
        must(channel.send(text));
        hear(channel);
        took.push_back(Micros(std::chrono::steady_clock::now() - begin).count());
    }
    std::nth_element(took.begin(), took.begin() + static_cast<std::ptrdiff_t>(took.size() / 2), took.end());
    return took[took.size() / 2];
}

struct World {
    std::string folder = fmt::format("{}/mill-bench-{}", std::filesystem::temp_directory_path().string(), new_uid());
    std::string bin;
    World()
    {
        const char* given = std::getenv("MILL_BIN");
        bin = std::filesystem::absolute(given != nullptr ? given : "build/release/bin").string();
        std::filesystem::create_directories(folder + "/source");
        std::ofstream(folder + "/small.txt") << "a small file\n";
    }
    ~World() { std::filesystem::remove_all(folder); }
    Json grants() const { return Json::object({{"files", Json::object({{"read", Json::array({folder})}})}}); }
    std::string request(long id) const { return fmt::format(R"({{"id":{},"effect":"file.read","with":{{"path":"{}/small.txt"}}}})", id + 1, folder); }
};

/// The real broker with one open attempt, whose channel's other end is given.
struct Broker {
    Channel keeper, agent, effects;
    std::unique_ptr<platform::Process> process;
    explicit Broker(const World& world)
    {
        process = start(world.bin + "/millwright-broker", {}, {&keeper});
        agent = give({"agent"});
        hear(agent);  // its key
        effects = give({"attach", "b.1.1"});
        must(agent.send(dump_json(Json::object({{"open", Json::object({{"key", "b.1.1"}, {"grants", world.grants()}, {"credentials", Json::object()}})}}))));
        hear(agent);
    }
    Channel give(const keeper::Words& words)
    {
        auto pair = must(Channel::pair());
        const platform::Handle end = std::move(pair.second).take_handle();
        must(keeper.send(keeper::encode(words), &end));
        return std::move(pair.first);
    }
};

/// Microseconds for each of `steps` steps, from `begin` to the final event.
double step_cost(const World& world, const std::string& task, long steps)
{
    std::ofstream(world.folder + "/source/package.yaml") << "name: bench\nversion: 1.0.0\nworkflow: main.yaml\n";
    std::ofstream(world.folder + "/source/main.yaml")
        << "document: { dsl: 1.0.3, namespace: bench, name: bench, version: 1.0.0 }\ndo: [ { l: { for: { each: x, in: .all }, do: [ { s: " << task << " } ] } } ]\n";
    must(platform::write_file(world.folder + "/bench.mwp", must(workflows::pack(world.folder + "/source"))));
    const std::string work = world.folder + "/" + new_uid();
    std::filesystem::create_directories(work);

    Channel job, effects;
    Broker broker(world);
    const auto runner = start(world.bin + "/millwright-runner", {"--workspace", work}, {&job, &effects});
    // What the runner asks goes straight to the broker: it gets the other end of the runner's channel, as the keeper would give it.
    const platform::Handle end = std::move(effects).take_handle();
    must(broker.keeper.send(keeper::encode(keeper::Words{"attach", "r.1.1"}), &end));
    must(broker.agent.send(dump_json(Json::object({{"open", Json::object({{"key", "r.1.1"}, {"grants", world.grants()}, {"credentials", Json::object()}})}}))));
    hear(broker.agent);
    hear(job);  // ready
    Json all = Json::array();
    for (long i = 0; i < steps; ++i) all.push(Json(static_cast<std::int64_t>(i)));
    const Json begin = Json::object({{"key", "r.1.1"}, {"workflow", "main"}, {"input", Json::object({{"all", std::move(all)}})}, {"variables", Json::object()},
                                     {"grants", world.grants()}, {"firstSequence", 2}, {"package", world.folder + "/bench.mwp"}, {"events", false}, {"trace", false},
                                     {"runtime", Json::object()}});
    const auto started = std::chrono::steady_clock::now();
    must(job.send(dump_json(Json::object({{"begin", begin}}))));
    for (;;) {
        const Json message = must(parse_json(hear(job)));
        const Json& event = message["event"];
        must(job.send(dump_json(Json::object({{"ack", event["sequence"]}}))));
        if (event["kind"].as_string() != "state") continue;
        const double took = Micros(std::chrono::steady_clock::now() - started).count();
        if (event["body"]["state"].as_string() != "successful") {
            fmt::print(stderr, "bench: {}\n", dump_json(event));
            std::exit(1);
        }
        return took / static_cast<double>(steps);
    }
}

}  // namespace

int main(int count, char** values)
{
    if (count == 3 && std::string_view(values[1]) == "--echo") return echo(std::strtoul(values[2], nullptr, 10));
    const long rounds = count > 1 ? std::max(100L, std::atol(values[1])) : 3000;  // below what the broker reads without pause
    const World world;
    Broker broker(world);
    must(broker.effects.send(world.request(0)));
    const std::string answer = hear(broker.effects);
    if (answer.find("a small file") == std::string::npos) {
        fmt::print(stderr, "bench: {}\n", answer);
        return 1;
    }
    Channel bare;
    const auto child = start(std::filesystem::read_symlink("/proc/self/exe").string(), {"--echo", std::to_string(answer.size())}, {&bare});
    const auto request = [&](long i) { return world.request(i); };
    const double floor = median_trip(bare, request, rounds);
    const double asked = median_trip(broker.effects, request, rounds);
    const double floor_again = median_trip(bare, request, rounds);
    fmt::print("{{\"bench\":\"bare round trip\",\"rounds\":{},\"microseconds\":{:.1f},\"again\":{:.1f}}}\n", rounds, floor, floor_again);
    fmt::print("{{\"bench\":\"file.read by the broker\",\"rounds\":{},\"microseconds\":{:.1f},\"ratio\":{:.2f}}}\n", rounds, asked, asked / floor);
    const double set = step_cost(world, "{ set: { all: 1 } }", rounds / 4);
    const double read = step_cost(world, fmt::format("{{ call: file.read, with: {{ path: {}/small.txt }} }}", world.folder), rounds / 4);
    fmt::print("{{\"bench\":\"a file.read step above a set step\",\"rounds\":{},\"microseconds\":{:.1f},\"of\":[{:.1f},{:.1f}],\"ratio\":{:.2f}}}\n", rounds / 4, read - set, set, read,
               (read - set) / floor);
    return 0;
}
