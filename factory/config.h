// factory/config.h -- the settings of millwright-factory: command line over configuration file over defaults.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "factory/agents/limiter.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/base/units.h"

namespace mill::factory {

struct Config {
    std::string data;                           ///< --data
    std::string address = "127.0.0.1";          ///< listen
    std::uint16_t port = 7460;
    bool insecure = false;                      ///< --insecure: plain text off loopback
    std::string certificate_file, key_file;     ///< tls
    std::string public_url;                     ///< how others reach it; empty: http(s)://listen
    std::vector<std::string> egress;            ///< origins with private addresses that notifications may go to
    std::string authority_file;                 ///< authority: PEM that outgoing calls trust beside the system's
    std::string vault_key_file;                 ///< vaultKey: what credentials are encrypted with; empty: the default
    Milliseconds offline_limit{900'000};        ///< offlineLimit
    std::optional<Milliseconds> ageing = Milliseconds(600'000);   ///< ageing: a waiting job counts as one priority more after each; nothing: "never"
    Milliseconds delivery_life{86'400'000};     ///< deliveries.giveUpAfter
    Milliseconds delivery_timeout{30'000};      ///< deliveries.timeout
    std::uint32_t hold_after = 5;               ///< deliveries.holdAfter: failures in a row, then a notifier is held
    Milliseconds first_probe{10'000};           ///< deliveries.probeAfter
    std::size_t connections_per_address = 12'000;   ///< limits.connectionsPerAddress
    ByteCount header_limit = kibibytes(16);     ///< limits.header
    Rates rates;                                ///< limits.token, address, agents, failures, loopback
    ByteCount record_quota = mebibytes(64);     ///< limits.records: steps and logs of one attempt
    Milliseconds check_time{30'000};            ///< checks.time: of one package, by the clock and by the processor
    ByteCount check_memory = mebibytes(1024);   ///< checks.memory
    /// retention: how long what is over is kept; nothing: for ever ("never")
    struct Retention {
        std::optional<Milliseconds> jobs = std::chrono::hours(24 * 90), logs = std::chrono::hours(24 * 30), deliveries = std::chrono::hours(24 * 30),
                                    audit = std::chrono::hours(24 * 365), events = std::chrono::hours(24 * 30), metrics = std::chrono::hours(24 * 90);
        std::uint64_t jobs_most = 1'000'000;    ///< jobs.count; 0: any number
        Milliseconds every{600'000};
    } retention;
    /// otlp: where figures are pushed to; an empty url: nowhere
    std::string otlp_url, otlp_credential;
    Milliseconds otlp_every{60'000};
    log::Level level = log::Level::info;        ///< log

    bool tls() const { return !certificate_file.empty(); }
};

/// Reads a configuration file over `config`. Errors: invalid ("FILE:LINE: …; …", all mistakes at once), not_found, denied.
Status read_config(const std::string& path, Config& config);
/// As read_config, from text; `where` names it in errors.
Status parse_config(std::string_view text, const std::string& where, Config& config);
/// "HOST:PORT", "[V6]:PORT". Errors: invalid.
Status parse_listen(std::string_view text, Config& config);
/// What no single setting can know: plain text off loopback, half a TLS. Errors: invalid.
Status check_config(const Config& config);

struct CommandLine {
    enum class Action { run, help, version, backup, restore, audit } action = Action::run;
    std::string data, listen, config_file;
    bool insecure = false;
    std::string folder = {};   ///< backup --to, restore --from
    std::string head = {};     ///< audit --head
    bool json = false;         ///< audit --json
};
/// Errors: invalid (what is wrong, and what was perhaps meant).
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);
std::string help_text();

}  // namespace mill::factory
