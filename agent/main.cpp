#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "agent/app.h"
#include "agent/attend/attend.h"
#include "agent/credentials_command.h"
#include "agent/enrol.h"
#include "agent/factory_client.h"
#include "agent/once.h"
#include "agent/options.h"
#include "agent/policy.h"
#include "agent/sealed_keys.h"
#include "agent/service_command.h"
#include "platform/append_file.h"
#include "platform/base/log.h"
#include "platform/base/printable.h"
#include "platform/base/yaml.h"
#include "platform/base/redact.h"
#include "platform/files.h"
#include "platform/fingerprint.h"
#include "platform/privileges.h"
#include "platform/process.h"
#include "platform/service_host.h"
#include "protocol/version.h"

namespace {

using namespace mill;
using agent::Options;

constexpr int kBug = 1, kTryAgain = 2, kUsage = 64, kInterrupted = 130, kRefused = 77, kBadConfiguration = 78;

int complain(const Error& error)
{
    std::fprintf(stderr, "millwright-agent: %s\n", one_line(redacted(error.what)).c_str());
    if (error.code == Errc::internal) return kBug;
    return is_retryable(error) ? kTryAgain : kBadConfiguration;
}

int run_enrol(Options options)
{
    if (options.code_file == "-") {
        std::getline(std::cin, options.enrol.code);
    } else if (!options.code_file.empty()) {
        auto text = platform::read_file(options.code_file, 4096);
        if (!text) return complain({text.error().code, options.code_file + ": " + text.error().what});
        options.enrol.code = std::move(*text);
    }
    while (!options.enrol.code.empty() && std::string_view(" \r\n\t").find(options.enrol.code.back()) != std::string_view::npos)
        options.enrol.code.pop_back();
    if (!options.enrol.through.empty() && platform::is_root())
        return complain({Errc::invalid, "root is no person: say --through-machine as the person whose agent it is to be"});
    if (options.enrol.code.empty() && !options.code_file.empty()) return complain({Errc::invalid, options.code_file + ": the code is empty"});
    agent::open_sealed_keys(options.enrol.data_folder);
    if (auto ok = platform::become_owner_of(options.enrol.data_folder); !ok) return complain(ok.error());
    std::optional<platform::ServiceHost> host;   // Ctrl-C ends the waiting
    if (options.enrol.code.empty()) host.emplace();
    else redact_in_log(options.enrol.code);
    options.enrol.show = [&](const agent::Waiting& waiting) {
        fmt::print("this machine asks to be admitted\n  code         {}\n  fingerprint  {}\nAn administrator of the factory compares both and admits it within {}:\n"
                   "  millwright agents admit {}{} [--environment E] [--name N] [--label K=V]\nwaiting; Ctrl-C ends that, and the same command goes on with it\n",
                   waiting.code, waiting.fingerprint, format_duration(Milliseconds(waiting.life.count() / 1000 * 1000)), waiting.code,
                   options.enrol.environment.empty() ? "" : " --environment " + options.enrol.environment);
        std::fflush(stdout);
    };
    auto enrolled = agent::enrol(options.enrol, host ? host->stop() : std::stop_token());
    if (!enrolled && enrolled.error().code == Errc::cancelled) {
        std::fprintf(stderr, "millwright-agent: %s\n", one_line(redacted(enrolled.error().what)).c_str());
        return kInterrupted;
    }
    if (!enrolled) return complain(enrolled.error());
    if (!enrolled->note.empty()) std::fprintf(stderr, "millwright-agent: warning: %s\n", enrolled->note.c_str());
    if (enrolled->again) fmt::print("the identity before was refused by the factory and is replaced; reports that were not sent yet are kept\n");
    fmt::print("enrolled as {} in environment {} of {}\n", enrolled->identity.name, enrolled->identity.environment, enrolled->identity.factory_url);
    for (const auto& [name, keys] : enrolled->identity.publishers.keys)
        for (const std::string& key : keys) fmt::print("publisher {} is pinned: {}\n", one_line(name), platform::fingerprint(key));
    if (!enrolled->approved) fmt::print("an administrator has to approve it before it gets jobs: millwright agents set {} --approve\n", enrolled->identity.name);
    if (enrolled->running) fmt::print("next: millwright-agent reload --data {}   (the agent that runs there serves this factory, too, from then on)\n", options.enrol.data_folder);
    else fmt::print("next: edit {}/policy.yaml, then: {}\n", options.enrol.data_folder, agent::how_to_run(options.enrol.data_folder));
    fmt::print("and from anywhere, to see a job go all the way: millwright canary agent/{}\n", enrolled->identity.name);
    return 0;
}

int run_rotate(const Options& options)
{
    const std::string& data = options.serve.data_folder;
    agent::open_sealed_keys(data);
    if (auto ok = platform::become_owner_of(data); !ok) return complain(ok.error());
    auto lock = agent::lock_data_folder(data);
    if (!lock && lock.error().code == Errc::conflict)
        return complain({Errc::unavailable, fmt::format("{}: an agent runs there; stop it for the change of its key (millwright-agent stop --data {} --after job), or let it do that "
                                                        "itself: 'keyMaxAge: 90d' in {}/config.yaml", lock.error().what, data, data)});
    if (!lock) return complain(lock.error());
    auto config = agent::load_config(options.serve.config_path, data);
    if (!config) return complain(config.error());
    auto ids = agent::enrolled_factories(data);
    if (!ids) return complain(ids.error());
    if (ids->empty()) return complain({Errc::invalid, data + " is not enrolled at a factory: millwright-agent enrol"});
    int status = 0;
    for (const std::string& id : *ids) {
        auto identity = agent::load_identity(data, id);
        if (!identity) return complain(identity.error());
        agent::Tokens tokens(*identity, *config, system_clock());
        if (auto done = tokens.rotate({}); !done) status = complain({done.error().code, fmt::format("agent {} of {}: {}", identity->name, identity->factory_url, done.error().what)});
        else fmt::print("agent {} of {} has a new key\n", identity->name, identity->factory_url);
    }
    return status;
}

int run_policy_test(const Options& options)
{
    auto policy = agent::load_policy_of_folder(options.serve.data_folder);
    if (!policy) return complain(policy.error());
    std::optional<protocol::SignatureFile> signatures;
    if (!options.signatures.empty()) {
        auto bytes = platform::read_file(options.signatures, protocol::kMostSignatureFile);
        if (!bytes) return complain({bytes.error().code, options.signatures + ": " + bytes.error().what});
        auto read = protocol::parse_signature_file(std::string_view(*bytes), options.signatures);
        if (!read) return complain(read.error());
        signatures = std::move(*read);
    }
    auto text = platform::read_file(options.document == "-" ? "/dev/stdin" : options.document, 1024 * 1024);
    if (!text) return complain(text.error());
    auto document = parse_yaml(*text);
    if (!document) return complain({Errc::invalid, options.document + ": " + document.error().what});
    auto verdict = agent::judge(*policy, document->value, signatures);
    if (!verdict) return complain({Errc::invalid, options.document + ": " + verdict.error().what});
    if (options.json) {
        Json items = Json::array();
        for (const auto& item : verdict->items) {
            Json one = Json::object({{"item", item.what}, {"admitted", item.why.empty()}});
            if (!item.why.empty()) one.set("why", item.why);
            items.push(std::move(one));
        }
        fmt::print("{}\n", dump_json(Json::object({{"package", verdict->package}, {"admitted", verdict->admitted()}, {"items", std::move(items)}, {"pushed", agent::words_of(policy->person)}})));
    } else {
        fmt::print("{}/policy.yaml on {}:\n", options.serve.data_folder, verdict->package);
        for (const auto& item : verdict->items)
            fmt::print("  {}  {}{}\n", item.why.empty() ? "admitted" : "WITHHELD", item.what, item.why.empty() ? "" : ": " + item.why);
        fmt::print("beside a person, when somebody else starts it: {}\n", agent::words_of(policy->person));
    }
    return verdict->admitted() ? 0 : kRefused;
}

int run_keeper(const Options& options)
{
    std::vector<std::string> arguments{"--data", options.serve.data_folder};
    if (!options.serve.config_path.empty()) {
        arguments.emplace_back("--config");
        arguments.push_back(options.serve.config_path);
    }
    return complain(platform::become_program(platform::sibling_program("millwright-keeper"), arguments).error());
}

int run(const std::vector<std::string>& arguments)
{
    auto options = agent::parse_options(arguments);
    if (!options) {
        std::fprintf(stderr, "millwright-agent: %s (millwright-agent --help shows how)\n", options.error().what.c_str());
        return kUsage;
    }
    switch (options->command) {
    case Options::Command::help: std::fputs(agent::help_text().c_str(), stdout); return 0;
    case Options::Command::version: fmt::print("millwright-agent {}\n", protocol::kProgramVersion); return 0;
    case Options::Command::enrol: return run_enrol(std::move(*options));
    case Options::Command::rotate: return run_rotate(*options);
    case Options::Command::seal: {
        auto done = agent::seal_command(options->serve.data_folder, options->check);
        return done ? 0 : complain(done.error());
    }
    case Options::Command::run: return run_keeper(*options);
    case Options::Command::serve: return agent::serve(options->serve);
    case Options::Command::policy_test: return run_policy_test(*options);
    case Options::Command::credentials: return agent::show_credentials(options->serve.data_folder, options->check, options->json);
    case Options::Command::doctor: return agent::run_doctor(options->doctor);
    case Options::Command::control: return agent::run_control(options->control);
    case Options::Command::service: return agent::service_command(options->service);
    case Options::Command::attend: return agent::attend(options->attend);
    case Options::Command::open: return agent::open_page(options->open);
    case Options::Command::once: return agent::run_once(options->request);
    }
    return kBug;
}

}  // namespace

int main(int argc, char** argv)
{
    try {
        log::start("millwright-agent");
        return run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "millwright-agent: a bug: %s\n", redacted(error.what()).c_str());
        return kBug;
    }
}
