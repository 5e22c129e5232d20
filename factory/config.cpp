#include "factory/config.h"

#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/base/fields.h"
#include "platform/base/yaml.h"
#include "platform/files.h"
#include "platform/http_client.h"

namespace mill::factory {
namespace {

/// Mistakes of every section, each with its line.
struct Mistakes {
    const YamlDocument& document;
    const std::string& where;
    std::vector<std::string> found;

    void add(std::string_view pointer, std::string_view what)
    {
        const Mark mark = document.mark(pointer);
        found.push_back(fmt::format("{}:{}:{}: {}", where, mark.line, mark.column, what));
    }
    void add(std::string_view pointer, const Status& status)
    {
        if (!status) add(pointer, status.error().what);
    }
};

template <class T, class Read> void read_text(Fields& fields, std::string_view key, Mistakes& mistakes, const std::string& pointer, T& out, Read read)
{
    if (!fields.has(key)) return;
    const Json value = fields.any(key, Json());
    if (value.is_null()) return;
    auto parsed = read(value.is_string() ? value.as_string() : dump_json(value));
    if (!parsed) mistakes.add(pointer, fmt::format("{}: {}", key, parsed.error().what));
    else out = std::move(*parsed);
}

/// "500/s", "20/m". What may come at once after a pause: four seconds' worth, or a minute's.
Result<Rate> parse_rate(const std::string& text)
{
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const std::string_view unit = std::string_view(text).substr(static_cast<std::size_t>(end - text.data()));
    if (error != std::errc() || count < 1 || count > 10'000'000 || (unit != "/s" && unit != "/m")) return fail(Errc::invalid, fmt::format("'{}' is no rate such as 500/s or 20/m", text.substr(0, 60)));
    const auto number = static_cast<double>(count);
    return unit == "/s" ? Rate{number, 4 * number} : Rate{number / 60, number};
}

/// "30d", or "never" for what is kept for ever.
Result<std::optional<Milliseconds>> read_age(const std::string& text)
{
    if (text == "never") return std::optional<Milliseconds>();
    const auto age = parse_duration(text);
    if (!age) return fail(Errc::invalid, age.error().what + ", or never");
    if (*age < Milliseconds(1'000)) return fail(Errc::invalid, "must be at least 1s, or never");
    return std::optional(*age);
}

void read_retention(const Json& section, const std::string& where, Mistakes& mistakes, Config::Retention& out)
{
    Fields fields(section, where + ": retention");
    const std::pair<const char*, std::optional<Milliseconds>*> kinds[] = {{"jobs", &out.jobs},   {"logs", &out.logs},     {"deliveries", &out.deliveries},
                                                                          {"audit", &out.audit}, {"events", &out.events}, {"metrics", &out.metrics}};
    for (const auto& [kind, age] : kinds) {
        if (!fields.has(kind)) continue;
        const std::string pointer = fmt::format("/retention/{}", kind);
        Fields one(fields.object(kind), fmt::format("{}: retention: {}", where, kind));
        read_text(one, "age", mistakes, pointer + "/age", *age, read_age);
        if (std::string_view(kind) == "jobs") out.jobs_most = static_cast<std::uint64_t>(one.integer("count", 0, 1'000'000'000, static_cast<std::int64_t>(out.jobs_most)));
        mistakes.add(pointer, one.done());
    }
    read_text(fields, "every", mistakes, "/retention/every", out.every, [](const std::string& text) -> Result<Milliseconds> {
        auto every = parse_duration(text);
        if (every && (*every < Milliseconds(1'000) || *every > std::chrono::hours(24))) return fail(Errc::invalid, "must be between 1s and 1d");
        return every;
    });
    mistakes.add("/retention", fields.done());
}

bool is_loopback(std::string_view address)
{
    return address.starts_with("127.") || address == "::1" || address == "localhost";
}

}  // namespace

Status parse_listen(std::string_view text, Config& config)
{
    const auto refuse = [&] { return fail(Errc::invalid, fmt::format("'{}' is no address to listen on; expected ADDRESS:PORT such as 127.0.0.1:7460 or [::1]:0", text)); };
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon + 1 == text.size()) return refuse();
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    else if (host.find(':') != std::string_view::npos) return refuse();
    unsigned number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size() || number > 65535 || host.empty()) return refuse();
    config.address = host == "localhost" ? "127.0.0.1" : std::string(host);
    config.port = static_cast<std::uint16_t>(number);
    return {};
}

Status parse_config(std::string_view text, const std::string& where, Config& config)
{
    const auto document = parse_yaml(text);
    if (!document) return fail(where, document.error());
    if (document->value.is_null()) return {};
    Mistakes mistakes{*document, where, {}};
    Fields fields(document->value, where);
    const auto duration = [](const std::string& value) -> Result<Milliseconds> {
        auto read = parse_duration(value);
        if (read && *read <= Milliseconds(0)) return fail(Errc::invalid, "must be above 0");
        return read;
    };
    if (const std::string listen = fields.text("listen", ""); !listen.empty()) mistakes.add("/listen", parse_listen(listen, config));
    if (const std::string url = fields.text("publicUrl", ""); !url.empty()) {
        if (const auto uri = platform::parse_uri(url); !uri || !uri->query.empty()) mistakes.add("/publicUrl", fmt::format("publicUrl: '{}' is no address such as https://factory.example.com", url));
        config.public_url = url;
        while (config.public_url.ends_with('/')) config.public_url.pop_back();
    }
    if (fields.has("tls")) {
        Fields tls(fields.object("tls"), where + ": tls");
        config.certificate_file = tls.text("certificate");
        config.key_file = tls.text("key");
        mistakes.add("/tls", tls.done());
    }
    config.egress = fields.texts("egress");
    config.authority_file = fields.text("authority", "");
    config.vault_key_file = fields.text("vaultKey", "");
    read_text(fields, "offlineLimit", mistakes, "/offlineLimit", config.offline_limit, duration);
    read_text(fields, "ageing", mistakes, "/ageing", config.ageing, [](const std::string& value) -> Result<std::optional<Milliseconds>> {
        auto age = read_age(value);
        if (age && *age && **age > std::chrono::hours(24 * 366)) return fail(Errc::invalid, "must be between 1s and 366d, or never");
        return age;
    });
    read_text(fields, "log", mistakes, "/log", config.level, [](const std::string& value) { return log::parse_level(value); });
    if (fields.has("deliveries")) {
        Fields deliveries(fields.object("deliveries"), where + ": deliveries");
        read_text(deliveries, "giveUpAfter", mistakes, "/deliveries/giveUpAfter", config.delivery_life, duration);
        read_text(deliveries, "timeout", mistakes, "/deliveries/timeout", config.delivery_timeout, duration);
        config.hold_after = static_cast<std::uint32_t>(deliveries.integer("holdAfter", 1, 1000, config.hold_after));
        read_text(deliveries, "probeAfter", mistakes, "/deliveries/probeAfter", config.first_probe, duration);
        mistakes.add("/deliveries", deliveries.done());
    }
    if (fields.has("limits")) {
        Fields limits(fields.object("limits"), where + ": limits");
        config.connections_per_address = static_cast<std::size_t>(limits.integer("connectionsPerAddress", 1, 1'000'000, static_cast<std::int64_t>(config.connections_per_address)));
        read_text(limits, "header", mistakes, "/limits/header", config.header_limit, [](const std::string& value) -> Result<ByteCount> {
            auto read = parse_bytes(value);
            if (read && (*read < kibibytes(1) || *read > mebibytes(1))) return fail(Errc::invalid, "must be between 1KiB and 1MiB");
            return read;
        });
        read_text(limits, "records", mistakes, "/limits/records", config.record_quota, [](const std::string& value) { return parse_bytes(value); });
        for (const auto& [key, rate] : {std::pair{"token", &config.rates.token}, {"address", &config.rates.address}, {"agents", &config.rates.agents}, {"failures", &config.rates.failures}})
            read_text(limits, key, mistakes, std::string("/limits/") + key, *rate, parse_rate);
        config.rates.loopback = static_cast<double>(limits.integer("loopback", 1, 100'000, static_cast<std::int64_t>(config.rates.loopback)));
        mistakes.add("/limits", limits.done());
    }
    if (fields.has("checks")) {
        Fields checks(fields.object("checks"), where + ": checks");
        read_text(checks, "time", mistakes, "/checks/time", config.check_time, duration);
        read_text(checks, "memory", mistakes, "/checks/memory", config.check_memory, [](const std::string& value) -> Result<ByteCount> {
            auto read = parse_bytes(value);
            if (read && *read < mebibytes(64)) return fail(Errc::invalid, "must be at least 64MiB");
            return read;
        });
        mistakes.add("/checks", checks.done());
    }
    if (fields.has("retention")) read_retention(fields.object("retention"), where, mistakes, config.retention);
    if (fields.has("otlp")) {
        Fields otlp(fields.object("otlp"), where + ": otlp");
        config.otlp_url = otlp.text("url");
        if (const auto uri = platform::parse_uri(config.otlp_url); !config.otlp_url.empty() && !uri)
            mistakes.add("/otlp/url", fmt::format("otlp: url: '{}' is no address such as https://collector.example.com/v1/metrics", config.otlp_url));
        config.otlp_credential = otlp.text("credential", "");
        read_text(otlp, "every", mistakes, "/otlp/every", config.otlp_every, [](const std::string& value) -> Result<Milliseconds> {
            auto every = parse_duration(value);
            if (every && (*every < Milliseconds(1'000) || *every > std::chrono::hours(1))) return fail(Errc::invalid, "must be between 1s and 1h");
            return every;
        });
        mistakes.add("/otlp", otlp.done());
    }
    mistakes.add("", fields.done());
    if (mistakes.found.empty()) return {};
    return fail(Errc::invalid, fmt::format("{}", fmt::join(mistakes.found, "\n")));
}

Status read_config(const std::string& path, Config& config)
{
    const auto text = platform::read_file(path, 1024 * 1024);
    if (!text) return fail("configuration", text.error());
    return parse_config(*text, path, config);
}

Status check_config(const Config& config)
{
    if (config.certificate_file.empty() != config.key_file.empty()) return fail(Errc::invalid, "tls needs both certificate and key");
    if (!config.tls() && !is_loopback(config.address) && !config.insecure)
        return fail(Errc::invalid, fmt::format("refusing to listen on {} in plain text: tokens and inputs could be read on the way. Set tls: {{ certificate, key }} in the "
                                               "configuration, listen on 127.0.0.1 behind a proxy, or say --insecure", config.address));
    return {};
}

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments)
{
    CommandLine out;
    using Action = CommandLine::Action;
    if (!arguments.empty() && arguments.front() == "backup") out.action = Action::backup;
    if (!arguments.empty() && arguments.front() == "restore") out.action = Action::restore;
    if (!arguments.empty() && arguments.front() == "audit") out.action = Action::audit;
    const bool audits = out.action == Action::audit;
    const bool runs = out.action == Action::run;
    const std::string_view folder = out.action == Action::backup ? "--to" : "--from";
    for (std::size_t i = runs ? 0 : 1; i < arguments.size(); ++i) {
        std::string name = arguments[i], value;
        const std::size_t equals = name.starts_with("--") ? name.find('=') : std::string::npos;
        const bool joined = equals != std::string::npos;
        if (joined) {
            value = name.substr(equals + 1);
            name.resize(equals);
        }
        if (name == "--help" || name == "-h" || name == "help") return CommandLine{Action::help, {}, {}, {}, false, {}, {}, false};
        if (name == "--version" || name == "-V") return CommandLine{Action::version, {}, {}, {}, false, {}, {}, false};
        if (name == "--insecure" && !joined && runs) {
            out.insecure = true;
            continue;
        }
        if (name == "--json" && !joined && audits) {
            out.json = true;
            continue;
        }
        std::string* target = name == "--data" ? &out.data : nullptr;
        if (runs && name == "--listen") target = &out.listen;
        if (runs && name == "--config") target = &out.config_file;
        if (!runs && !audits && name == folder) target = &out.folder;
        if (audits && name == "--head") target = &out.head;
        if (!target && audits) return fail(Errc::invalid, fmt::format("unknown argument '{}'; audit takes --data DIR, --head HASH and --json", arguments[i]));
        if (!target && !runs) return fail(Errc::invalid, fmt::format("unknown argument '{}'; {} takes --data DIR and {} FOLDER", arguments[i], arguments.front(), folder));
        if (!target) return fail(Errc::invalid, fmt::format("unknown argument '{}'; known are backup, restore, audit, --data, --listen, --config, --insecure, --help, --version", arguments[i]));
        if (!joined) {
            if (++i >= arguments.size()) return fail(Errc::invalid, fmt::format("{} needs a value", name));
            value = arguments[i];
        }
        if (value.empty()) return fail(Errc::invalid, fmt::format("{} has an empty value", name));
        *target = value;
    }
    if (out.data.empty()) return fail(Errc::invalid, "--data is missing: the folder that holds jobs, packages and tokens");
    if (!runs && !audits && out.folder.empty()) return fail(Errc::invalid, fmt::format("{} is missing: the folder of the backup", folder));
    return out;
}

std::string help_text()
{
    return R"(millwright-factory: hands packaged workflows out to agents, watches them and tells others how it went.

  millwright-factory --data DIR [--listen ADDRESS:PORT] [--config FILE] [--insecure]
  millwright-factory backup --data DIR --to FOLDER
  millwright-factory restore --from FOLDER --data DIR
  millwright-factory audit --data DIR [--head HASH] [--json]

  --data DIR          folder of the store, packages and tokens; made when it is not there
  --listen A:P        address and port (default 127.0.0.1:7460; port 0 takes a free one)
  --config FILE       YAML settings; the command line wins
  --insecure          allow plain text on an address that is not loopback
  --version, --help

When it is ready it prints one line, "listening on http://ADDRESS:PORT". The first start writes an admin token to DIR/admin-token.
SIGTERM stops it; jobs on agents go on and report when it is back.

backup makes the new folder FOLDER: the database, packages, long values and logs, factory-key, admin-token and a manifest with the
SHA-256 of each. The factory may run meanwhile. Keep the vault's key elsewhere: it is never part of a backup. restore checks a backup and fills DIR, which must be empty or
absent. The factory then waits until its agents have said again what they did since (they keep it for 7 days): until then nothing starts and
nothing is delivered where they are; `millwright why` shows who is awaited, `millwright environments release NAME` stops waiting.

audit follows the chain of hashes through the audit log of DIR, a data folder or a backup, and names the first row that is not as it was
written (exit status 65). A factory may run with it. With --head it also wants a hash that it printed before to be there: then a cut end is found.

Configuration (all optional):
  listen: 0.0.0.0:7460
  publicUrl: https://factory.example.com     # in links (.links.job of notifications) and for agents
  tls: { certificate: /etc/millwright/factory.pem, key: /etc/millwright/factory.key }
  egress: [ "http://127.0.0.1:*" ]            # private addresses that notifications may go to
  authority: /etc/millwright/ca.pem           # trusted by outgoing calls beside the system's
  vaultKey: /etc/millwright/vault.key         # encrypts credentials; default DIR.key
  offlineLimit: 15m                           # silent for longer: a job that may not be repeated fails
  ageing: 10m                                 # a job that waits counts as one priority more after each, up to 89; never: as it is
  deliveries: { giveUpAfter: 24h, timeout: 30s, holdAfter: 5, probeAfter: 10s }
  limits: { connectionsPerAddress: 12000, header: 16KiB, records: 64MiB, token: 1000/s, address: 500/s, agents: 20000/s, failures: 20/m, loopback: 100 }
                                              # calls of one token, from one address, of its agents, without a valid token (429); from this machine
                                              # 100 times as many: say 1 where a proxy on this machine brings the calls of others
  retention: { jobs: { age: 90d, count: 1000000 }, logs: { age: 30d }, deliveries: { age: 30d }, audit: { age: 365d },
               events: { age: 30d }, metrics: { age: 90d }, every: 10m }   # what is over for so long goes; age: never keeps it
  checks: { time: 30s, memory: 1GiB }         # of the check of one uploaded package, in the sandbox
  otlp: { url: "https://collector.example.com/v1/metrics", credential: otlp, every: 60s }   # figures as OpenTelemetry metrics
  log: info

Uploaded packages, and inputs whose schema has regular expressions, are checked by millwright-runner (beside this program) in a sandbox
without any right. That needs bubblewrap and user namespaces; without them such calls are refused (503), `millwright doctor` says why.
Started as root, the sandbox runs as the user millwright-run, else nobody.

Examples:
  millwright-factory --data /tmp/factory --listen 127.0.0.1:0
  millwright-factory --data /var/lib/millwright/factory --config /etc/millwright/factory.yaml
  millwright-factory backup --data /var/lib/millwright/factory --to /backup/millwright-monday
  millwright-factory restore --from /backup/millwright-monday --data /var/lib/millwright/factory

Exit status: 0 stopped, 1 a bug, 2 try again (address or folder in use), 64 wrong arguments, 65 the audit log was changed, 78 wrong configuration.
)";
}

}  // namespace mill::factory
