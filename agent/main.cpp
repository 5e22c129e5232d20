#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "agent/app.h"
#include "agent/credentials_command.h"
#include "agent/enrol.h"
#include "agent/once.h"
#include "agent/options.h"
#include "agent/policy.h"
#include "agent/service_command.h"
#include "platform/append_file.h"
#include "platform/base/log.h"
#include "platform/base/yaml.h"
#include "platform/base/redact.h"
#include "platform/files.h"
#include "protocol/version.h"

namespace {

using namespace mill;
using agent::Options;

constexpr int kBug = 1, kTryAgain = 2, kUsage = 64, kRefused = 77, kBadConfiguration = 78;

int complain(const Error& error)
{
    std::fprintf(stderr, "millwright-agent: %s\n", redacted(error.what).c_str());
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
    if (options.enrol.code.empty()) return complain({Errc::invalid, "the code is empty"});
    redact_in_log(options.enrol.code);
    auto enrolled = agent::enrol(options.enrol);
    if (!enrolled) return complain(enrolled.error());
    fmt::print("enrolled as {} in environment {} of {}\n", enrolled->identity.name, enrolled->identity.environment, enrolled->identity.factory_url);
    if (!enrolled->approved) fmt::print("an administrator has to approve it before it gets jobs: millwright agents\n");
    fmt::print("next: edit {}/policy.yaml, then: {}\n", options.enrol.data_folder, agent::how_to_run(options.enrol.data_folder));
    return 0;
}

int run_policy_test(const Options& options)
{
    auto policy = agent::load_policy(options.serve.data_folder);
    if (!policy) return complain(policy.error());
    auto text = platform::read_file(options.document == "-" ? "/dev/stdin" : options.document, 1024 * 1024);
    if (!text) return complain(text.error());
    auto document = parse_yaml(*text);
    if (!document) return complain({Errc::invalid, options.document + ": " + document.error().what});
    auto verdict = agent::judge(*policy, document->value);
    if (!verdict) return complain({Errc::invalid, options.document + ": " + verdict.error().what});
    if (options.json) {
        Json items = Json::array();
        for (const auto& item : verdict->items) {
            Json one = Json::object({{"item", item.what}, {"admitted", item.why.empty()}});
            if (!item.why.empty()) one.set("why", item.why);
            items.push(std::move(one));
        }
        fmt::print("{}\n", dump_json(Json::object({{"package", verdict->package}, {"admitted", verdict->admitted()}, {"items", std::move(items)}})));
    } else {
        fmt::print("{}/policy.yaml on {}:\n", options.serve.data_folder, verdict->package);
        for (const auto& item : verdict->items)
            fmt::print("  {}  {}{}\n", item.why.empty() ? "admitted" : "WITHHELD", item.what, item.why.empty() ? "" : ": " + item.why);
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
    case Options::Command::run: return run_keeper(*options);
    case Options::Command::serve: return agent::serve(options->serve);
    case Options::Command::policy_test: return run_policy_test(*options);
    case Options::Command::credentials: return agent::show_credentials(options->serve.data_folder, options->check, options->json);
    case Options::Command::control: return agent::run_control(options->control);
    case Options::Command::service: return agent::service_command(options->service);
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
