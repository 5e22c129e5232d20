// Stand-ins for agent, broker and runner, as the keeper's test starts them: the name of the program says which.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include <unistd.h>

#include "agent/keeper/messages.h"
#include "platform/channel.h"
#include "platform/files.h"

using namespace mill;
using namespace mill::platform;
using namespace std::chrono_literals;
using keeper::Words;

namespace {

Channel g_keeper;

struct Heard {
    Words words;
    Handle handle;
};

Heard hear()
{
    auto message = g_keeper.receive(10s);
    if (!message || !*message) _exit(90);
    auto words = keeper::decode((*message)->text);
    if (!words) _exit(91);
    return {*words, std::move((*message)->handle)};
}

Heard hear(const std::string& verb)
{
    while (true)
        if (Heard heard = hear(); heard.words.at(0) == verb) return heard;
}

void say(const Words& words) { (void)g_keeper.send(keeper::encode(words)); }

std::string ask(Channel& channel, const std::string& text)
{
    if (!channel.send(text)) return "gone";
    auto answer = channel.receive(1s);
    return answer && *answer ? (*answer)->text : "gone";
}

/// Answers each message on its job channel; "exit N" ends it, "effect X" asks the broker. Ends at once, as the real one does: a
/// sanitizer's leak check at an ordinary exit needs what the sandbox refuses, and would change the exit status.
int be_runner()
{
    Channel job = Channel::from(Handle(3)), effects = Channel::from(Handle(4));
    const auto born = std::chrono::steady_clock::now();
    while (true) {
        auto message = job.receive();
        if (!message || !*message) return 2;
        const std::string& text = (*message)->text;
        if (text.starts_with("exit ")) _exit(std::atoi(text.c_str() + 5));
        if (text == "age") (void)job.send(std::to_string((std::chrono::steady_clock::now() - born) / 1ms));
        else if (text.starts_with("effect ")) (void)job.send(ask(effects, text.substr(7)));
        else (void)job.send("runner: " + text);
    }
}

/// Answers each message on an effect channel with its own process id; "crash" ends it.
int be_broker()
{
    std::vector<std::pair<std::string, Channel>> runners;
    Channel agent;
    while (true) {
        std::vector<const Channel*> all{&g_keeper, &agent};
        for (const auto& [key, channel] : runners) all.push_back(&channel);
        const auto ready = wait_any(all, {});
        if (!ready || !*ready) return 1;
        if (**ready == 0) {
            auto message = g_keeper.receive();
            if (!message || !*message) return 0;
            const Words words = *keeper::decode((*message)->text);
            if (words[0] == "attach") runners.emplace_back(words.size() > 2 ? words[1] + " " + words[2] : words[1], Channel::from(std::move((*message)->handle)));
            if (words[0] == "agent") agent = Channel::from(std::move((*message)->handle));
        } else if (**ready == 1) {
            auto message = agent.receive();
            if (!message) agent = Channel();
            else (void)agent.send("broker hears " + (*message)->text);
        } else {
            auto& [key, channel] = runners[**ready - 2];
            auto message = channel.receive();
            if (!message) channel = Channel();
            else if ((*message)->text == "crash") return 3;
            else (void)channel.send(key + " " + (*message)->text);
        }
    }
}

/// The first life starts a job and crashes; the second finds it again, uses it, and stops the service.
int be_agent(const std::string& data)
{
    std::ofstream log(data + "/log", std::ios::app);
    const auto note = [&](const std::string& line) { log << line << std::endl; };
    keeper::SandboxRequest request;
    request.package_path = data + "/package";
    if (!exists(data + "/second")) {
        (void)write_file(data + "/second", "");
        say({"ready", "fake"});
        say({"broker"});
        Channel broker = Channel::from(hear("broker").handle);
        note(ask(broker, "hello"));
        say({"start", "job.1.1", keeper::encode(request)});
        Channel job = Channel::from(hear("started").handle);
        note(ask(job, "one"));
        note(ask(job, "effect e1"));
        say({"start", "job.1.1", keeper::encode(request)});
        note("again: " + hear("refused").words.at(2));
        (void)job.send("effect crash");  // the broker dies with it
        hear("broker");
        note("another broker");
        (void)job.send("two");
        return 1;
    }
    say({"list"});
    Heard held = hear("held");
    note("held " + held.words.at(1));
    hear("listed");
    Channel job = Channel::from(std::move(held.handle));
    (void)job.send("effect crashed broker");
    for (std::string text; text != "job.1.1 again crashed broker";) {  // what waited for the agent that crashed comes first
        auto message = job.receive(10s);
        if (!message || !*message) return 92;
        text = (*message)->text;
        note(text);
    }
    (void)job.send("exit 7");
    note("ended " + hear("ended").words.at(2));
    say({"list"});
    const std::string key = hear("held").words.at(1), code = hear("ended").words.at(2);
    note("still " + key + " " + code);
    say({"forget", "job.1.1"});
    say({"list"});
    note(hear("listed").words.at(0));
    say({"start", "job.1.2", keeper::encode(request)});
    Channel other = Channel::from(hear("started").handle);
    note(ask(other, "alive"));
    say({"kill", "job.1.2"});
    const Words ended = hear("ended").words;
    note("killed " + ended.at(3) + " " + ended.at(4));
    say({"isolation"});
    note(hear("isolation").words.size() == 11 ? "isolation" : "wrong");
    request.package_path = data + "/no-such-package";
    say({"start", "job.1.3", keeper::encode(request)});
    note("refused " + hear("refused").words.at(2));
    say({"stop"});
    return 0;
}

}  // namespace

int main(int, char** arguments)
{
    const std::string name = arguments[0];
    if (name.ends_with("runner")) return be_runner();
    g_keeper = Channel::from(Handle(3));
    if (name.ends_with("broker")) return be_broker();
    return be_agent(arguments[3]);
}
