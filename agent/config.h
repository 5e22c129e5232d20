// agent/config.h -- the agent's settings (config.yaml), read once.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/base/units.h"

namespace mill::agent {

struct Config {
    unsigned slots = 0;                        ///< jobs at once; 0: one per processor, at most 16
    std::optional<unsigned> warm;              ///< runners held ready for one kind of job, when such jobs run; else as many as slots, at most 8
    std::string factory;                       ///< id of the factory to serve, when several are enrolled
    std::string proxy;                         ///< "http://host:port"; empty: what https_proxy, http_proxy, no_proxy say
    std::string ca_file;                       ///< PEM, beside the system's authorities
    std::string certificate_file, key_file;    ///< PEM: the client certificate that a gateway before the factory may ask for
    bool subscribe = true;                     ///< false: no parked poll, one short one each poll_interval
    Milliseconds poll_interval{30'000};
    Milliseconds key_max_age{0};               ///< an older key is changed by the running agent; 0: only `rotate` does
    bool finish_jobs = false;                  ///< at a stop: wait for running jobs (up to stop_wait), else cancel them
    Milliseconds stop_wait{30'000};
    ByteCount package_quota = mebibytes(2048); ///< of DIR/packages; the least recently used go first
    ByteCount attempt_quota = mebibytes(64);   ///< step and log records of one attempt kept for the factory
    ByteCount journal_quota = mebibytes(1024); ///< of reports that wait: over it no new jobs are taken; none is ever dropped
    ByteCount keep_free = mebibytes(64);       ///< of the disk under DIR: with less, no new jobs are taken
    std::string stop_key = "Ctrl+Alt+Pause";   ///< attended: the companion takes it; "none": there is none
    std::string metrics;                       ///< "127.0.0.1:9470": /metrics and /healthz there; empty: on the local socket alone
    std::optional<std::string> sessions;       ///< socket at which people of this machine join with agents of their own; empty: none. Else the usual one, where it can be
    log::Level log_level = log::Level::info;
};

/// Errors: invalid (all mistakes at once).
Result<Config> parse_config(std::string_view yaml, std::string_view where);
/// `path` empty: DIR/config.yaml if it is there. Errors: invalid, not_found (a path was given), denied, unavailable.
Result<Config> load_config(const std::string& path, const std::string& data_folder);

/// The files that the settings name, looked into: certificates are some, keys can be read. Errors: invalid, naming setting and file.
Status check_files(const Config& config);

}  // namespace mill::agent
