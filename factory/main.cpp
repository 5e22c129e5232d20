// millwright-factory: parses options, wires, runs.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "factory/app.h"
#include "factory/backup.h"
#include "factory/config.h"
#include "factory/resources/vault.h"
#include "factory/store/store.h"
#include "platform/base/encode.h"
#include "platform/base/redact.h"
#include "platform/service_host.h"

namespace {

constexpr int kStopped = 0, kBug = 1, kTryAgain = 2, kUsage = 64, kDataWrong = 65, kBadConfiguration = 78;

int exit_code(const mill::Error& error)
{
    using mill::Errc;
    switch (error.code) {
    case Errc::conflict:
    case Errc::unavailable:
    case Errc::timeout: return kTryAgain;
    case Errc::invalid:
    case Errc::denied:
    case Errc::not_found: return kBadConfiguration;
    default: return kBug;
    }
}

int back_up_or_restore(const mill::factory::CommandLine& line)
{
    using namespace mill::factory;
    mill::log::start("millwright-factory", mill::log::Level::warning);
    const bool backup = line.action == CommandLine::Action::backup;
    const auto done = backup ? make_backup(line.data, line.folder, mill::system_clock()) : restore_backup(line.folder, line.data, mill::system_clock());
    if (!done) {
        fmt::print(stderr, "millwright-factory: {}\n", mill::redacted(done.error().what));
        return exit_code(done.error());
    }
    if (backup) {
        fmt::print("backed up {} files, {} bytes, of {} to {}\n", done->files, done->bytes, mill::format_time(done->time), line.folder);
        fmt::print("the vault's key is not part of it: without that key stored credentials cannot be read\n");
        return kStopped;
    }
    fmt::print("restored {} files to {}: what the factory knew at {}\n", done->files, line.data, mill::format_time(done->time));
    fmt::print("once started it waits for its agents to say again what they did since; `millwright why` shows for whom\n"
               "the vault's key is not part of a backup: by default it is expected at {}\n", default_vault_key_file(line.data));
    return kStopped;
}

int verify_audit(const mill::factory::CommandLine& line)
{
    using namespace mill;
    const auto head = from_hex(line.head);
    if (!line.head.empty() && (!head || head->size() != 32)) {
        fmt::print(stderr, "millwright-factory: --head must be 64 hexadecimal digits, as audit printed them before\n");
        return kUsage;
    }
    const auto verdict = factory::verify_audit_of(line.data, line.head.empty() ? std::string() : *head);
    if (!verdict) {
        fmt::print(stderr, "millwright-factory: {}\n", verdict.error().what);
        return exit_code(verdict.error());
    }
    if (line.json) fmt::print("{}\n", dump_json(factory::to_json(*verdict)));
    else if (verdict->holds()) fmt::print("the audit log holds: {} rows are as they were written; the last has the hash {}\n", verdict->rows, to_hex(verdict->head));
    else fmt::print("the audit log was changed: {}\n", verdict->why);
    return verdict->holds() ? kStopped : kDataWrong;
}

int run(const std::vector<std::string>& arguments)
{
    using namespace mill::factory;
    const auto line = parse_command_line(arguments);
    if (!line) {
        fmt::print(stderr, "millwright-factory: {} (millwright-factory --help shows how)\n", line.error().what);
        return kUsage;
    }
    if (line->action == CommandLine::Action::help) {
        fmt::print("{}", help_text());
        return kStopped;
    }
    if (line->action == CommandLine::Action::version) {
        fmt::print("millwright-factory {}\n", MILL_VERSION);
        return kStopped;
    }
    if (line->action == CommandLine::Action::audit) return verify_audit(*line);
    if (line->action != CommandLine::Action::run) return back_up_or_restore(*line);
    Config config;
    mill::Status settings;
    if (!line->config_file.empty()) settings = read_config(line->config_file, config);
    config.data = line->data;
    config.insecure = line->insecure;
    if (settings && !line->listen.empty()) settings = parse_listen(line->listen, config);
    if (settings) settings = check_config(config);
    if (!settings) {
        fmt::print(stderr, "millwright-factory: {}\n", settings.error().what);
        return kBadConfiguration;
    }
    mill::platform::ServiceHost host;  // before any other thread
    mill::log::start("millwright-factory", config.level);
    const mill::Status ended = run_factory(config, host);
    if (ended) return kStopped;
    fmt::print(stderr, "millwright-factory: {}\n", mill::redacted(ended.error().what));
    return exit_code(ended.error());
}

}  // namespace

int main(int count, char** values)
{
    try {
        return run(std::vector<std::string>(values + 1, values + count));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "millwright-factory: a bug: %s\n", error.what());
        return kBug;
    }
}
