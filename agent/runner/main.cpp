#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "agent/runner/check.h"
#include "agent/runner/runner.h"
#include "platform/base/log.h"
#include "platform/confine.h"
#include "platform/confine_files.h"
#include "platform/mounted.h"
#include "platform/orphan.h"
#include "platform/stream.h"
#include "protocol/version.h"

namespace {

constexpr int kUsage = 64, kOwnFailure = 70;

struct Options {
    mill::runner::RunnerOptions run;
    std::vector<std::string> writable, mounted;
    std::string check, life;
    bool json = false, check_input = false, evaluate = false, bridge = false;
};

constexpr const char* kHelp = "millwright-runner: runs one job in its sandbox. Started by millwright-keeper; people use `millwright run` and `millwright check`.\n"
                              "usage: millwright-runner [--commands [--bridge]] [--writable PATH]… [--mounted PATH=ID]… [--nonce TEXT] [--workspace DIR] [--package FILE]   (descriptors 3 and 4: channels to agent and broker)\n"
                              "       millwright-runner --check FILE.mwp [--json]   exits 65 when the package has errors\n"
                              "       millwright-runner --check-input   reads {\"schema\":…,\"value\":…}; exits 65 when the value does not fit\n"
                              "       millwright-runner --evaluate   (descriptor 3: channel to the factory, for the jq of one notifier)\n"
                              "       millwright-runner --version\n";

/// Ends at once: no destructor may wait for a thread that waits for a peer that is gone, and what runs at an ordinary exit may
/// ask for what is no longer allowed.
[[noreturn]] void leave(int status)
{
    std::fflush(nullptr);
    std::_Exit(status);
}

/// Behind the sandbox's mounts and namespaces, a second time: should one of those fail, this one still stands.
mill::Status confine(const Options& options)
{
    mill::platform::FileAccess files;
    (options.run.commands ? files.start : files.read) = {"/"};
    files.write = options.writable;
    for (const char* own : {"/tmp", "/dev"}) files.write.emplace_back(own);
    files.write.push_back(options.run.workspace);
    files.ports.emplace();
    if (options.bridge) files.ports->push_back(mill::runner::kBridgePort);
    files.apart = true;
    if (auto ok = mill::platform::confine_files(files); !ok) return ok;
    return mill::platform::confine({.commands = options.run.commands, .bridge = options.bridge});
}

int run(const Options& options)
{
    mill::log::start("millwright-runner", mill::log::Level::warning);
    const auto failed = [](const mill::Error& error) {
        mill::log::error("runner", "{}", error.what);
        return kOwnFailure;
    };
    mill::platform::Handle listener;
    if (options.bridge) {
        auto made = mill::platform::TcpListener::open_on_loopback(mill::runner::kBridgePort);
        if (!made) return failed(made.error());
        listener = std::move(*made);
    }
    // Commands are given secrets by way of this process's memory; they run as the same user.
    if (options.run.commands) mill::platform::hide_memory();
    // Before the first thread, and before anything from outside is read.
    for (const std::string& mounted : options.mounted)
        if (auto ok = mill::platform::check_mounted(mounted); !ok) return failed(ok.error());
    if (auto ok = confine(options); !ok) return failed(ok.error());
    using mill::platform::Channel, mill::platform::Handle;
    auto* runner = new mill::runner::Runner(Channel::from(Handle(3)), Channel::from(Handle(4)), options.run, std::move(listener));  // see leave()
    const mill::Status ended = runner->run();
    if (!ended) mill::log::warning("runner", "{}", ended.error().what);
    leave(ended ? 0 : 2);
}

}  // namespace

int main(int count, char** values)
{
    try {
        const std::vector<std::string> words(values + 1, values + count);
        Options options;
        for (std::size_t at = 0; at < words.size(); ++at) {
            const std::string& word = words[at];
            const bool more = at + 1 < words.size();
            if (word == "--version") return std::printf("millwright-runner %s\n", mill::protocol::kProgramVersion.data()) > 0 ? 0 : kOwnFailure;
            if (word == "--help" || word == "-h") return std::fputs(kHelp, stdout) < 0 ? kOwnFailure : 0;
            if (word == "--commands") options.run.commands = true;
            else if (word == "--bridge") options.bridge = true;
            else if (word == "--json") options.json = true;
            else if (word == "--check-input") options.check_input = true;
            else if (word == "--evaluate") options.evaluate = true;
            else if (word == "--writable" && more) options.writable.push_back(words[++at]);
            else if (word == mill::platform::kMountedOption && more) options.mounted.push_back(words[++at]);
            else if (word == mill::platform::kLifeOption && more) options.life = words[++at];
            else if (word == "--nonce" && more) options.run.nonce = words[++at];
            else if (word == "--workspace" && more) options.run.workspace = words[++at];
            else if (word == "--package" && more) options.run.package = words[++at];
            else if (word == "--check" && more) options.check = words[++at];
            else {
                std::fprintf(stderr, "millwright-runner: '%s' is not understood\n%s", word.c_str(), kHelp);
                return kUsage;
            }
        }
        // Nobody watches over it any more, and nobody would end it.
        if (!options.life.empty() && !mill::platform::starter_lives(options.life)) leave(2);
        if (options.check_input) leave(mill::runner::check_input());
        if (options.evaluate) leave(mill::runner::evaluate());
        if (options.check.empty()) return run(options);
        leave(mill::runner::check_package(options.check, options.json));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "millwright-runner: %s\n", error.what());
        return kOwnFailure;
    }
}
