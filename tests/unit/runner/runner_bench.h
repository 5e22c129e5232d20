// tests/unit/runner/runner_bench.h -- the real runner, and where needed the real broker, outside the sandbox; the test is agent and keeper.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "agent/keeper/messages.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/channel.h"
#include "platform/process.h"
#include "tests/unit/broker/temp_folder.h"
#include "workflows/package.h"

namespace mill::test {

using platform::Channel;
namespace fs = std::filesystem;

inline constexpr Milliseconds kLong{20'000};

inline std::string program(const char* name)
{
    const char* bin = std::getenv("MILL_BIN");
    REQUIRE(bin != nullptr);
    return std::string(bin) + "/" + name;
}

struct RunnerBench {
    TempFolder folder;  // package, workspace
    Channel job, effects, keeper, agent_of_broker;
    std::unique_ptr<platform::Process> process, broker;
    std::vector<Json> events, others;
    bool acknowledge = true;

    /// `tasks`: the lines below `do:`, indented by two.
    void package(const std::string& tasks, const std::string& permissions = "")
    {
        const std::string source = folder.path() + "/source";
        fs::create_directories(source);
        fs::create_directories(folder.path() + "/work");
        std::ofstream(source + "/package.yaml") << "name: demo\nversion: 1.0.0\nworkflow: main.yaml\n" << permissions;
        std::ofstream(source + "/main.yaml") << "document: { dsl: 1.0.3, namespace: test, name: demo, version: 1.0.0 }\ndo:\n" << tasks;
        const auto bytes = workflows::pack(source);
        if (!bytes) FAIL(bytes.error().what);
        std::ofstream(folder.path() + "/demo.mwp", std::ios::binary) << *bytes;
    }

    void start(bool commands = false, bool with_broker = false, bool preload = false)
    {
        auto job_pair = Channel::pair(), effect_pair = Channel::pair();
        REQUIRE(job_pair);
        REQUIRE(effect_pair);
        job = std::move(job_pair->first);
        effects = std::move(effect_pair->first);
        const platform::Handle job_end = std::move(job_pair->second).take_handle(), effect_end = std::move(effect_pair->second).take_handle();
        if (with_broker) start_broker();
        platform::ProcessSpec spec;
        spec.program = program("millwright-runner");
        spec.arguments = {"--workspace", folder.path() + "/work"};
        if (commands) spec.arguments.push_back("--commands");
        if (preload) spec.arguments.insert(spec.arguments.end(), {"--package", folder.path() + "/demo.mwp"});
        spec.handles = {{3, &job_end}, {4, &effect_end}};
        spec.inherit_output = true;
        auto started = platform::start_process(spec);
        REQUIRE(started);
        process = std::move(*started);
        const Json ready = hear();
        CHECK(ready["ready"].as_integer() == 1);
        CHECK(ready["version"].as_integer() == 1);
    }

    void start_broker()
    {
        auto pair = Channel::pair(), agent_pair = Channel::pair();
        REQUIRE(pair);
        REQUIRE(agent_pair);
        keeper = std::move(pair->first);
        const platform::Handle end = std::move(pair->second).take_handle();
        platform::ProcessSpec spec;
        spec.program = program("millwright-broker");
        spec.handles = {{3, &end}};
        spec.inherit_output = true;
        auto started = platform::start_process(spec);
        REQUIRE(started);
        broker = std::move(*started);
        agent_of_broker = std::move(agent_pair->first);
        const platform::Handle agent_end = std::move(agent_pair->second).take_handle();
        REQUIRE(keeper.send(keeper::encode(keeper::Words{"agent"}), &agent_end));
        REQUIRE(agent_of_broker.receive(kLong)->has_value());  // its key
        const platform::Handle effect_end = std::move(effects).take_handle();
        REQUIRE(keeper.send(keeper::encode(keeper::Words{"attach", "job.1.1"}), &effect_end));
    }

    Json more = Json::object();  // of `begin`

    void begin(Json input = Json::object(), Json grants = Json::object(), bool trace = false)
    {
        if (broker) {
            const Json open = Json::object({{"key", "job.1.1"}, {"grants", grants}, {"credentials", Json::object()}});
            REQUIRE(agent_of_broker.send(dump_json(Json::object({{"open", open}}))));
            REQUIRE(agent_of_broker.receive(kLong)->has_value());
        }
        Json begin = Json::object({{"key", "job.1.1"}, {"workflow", "main"}, {"input", std::move(input)}, {"variables", Json::object()},
                                         {"grants", std::move(grants)}, {"firstSequence", 2}, {"package", folder.path() + "/demo.mwp"},
                                         {"events", trace}, {"trace", trace}, {"runtime", Json::object()}});
        for (const auto& [key, value] : this->more.as_object()) begin.set(key, value);
        say(Json::object({{"begin", begin}}));
    }

    void say(const Json& message) { REQUIRE(job.send(dump_json(message))); }
    Json hear()
    {
        auto message = job.receive(kLong);
        REQUIRE(message);
        REQUIRE(*message);
        return *parse_json((*message)->text);
    }

    /// Reads to the final event; returns its body.
    Json finish()
    {
        for (;;) {
            const Json message = hear();
            const Json* event = message.find("event");
            if (event == nullptr) {
                others.push_back(message);
                continue;
            }
            events.push_back(*event);
            if (acknowledge) say(Json::object({{"ack", (*event)["sequence"]}}));
            if ((*event)["kind"].as_string() == "state") return (*event)["body"];
        }
    }
    int exit_code()
    {
        const auto ended = process->wait(kLong);
        REQUIRE(ended);
        CHECK(ended->signal == 0);
        return ended->exit_code;
    }
};

inline const char* const kAsksForSh = "permissions: { commands: [ sh ] }\n";
inline const char* const kSleep = "  - nap: { wait: { seconds: 600 } }\n";

}  // namespace mill::test
