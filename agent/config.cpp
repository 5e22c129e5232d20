#include "agent/config.h"

#include <fmt/format.h>

#include "platform/base/fields.h"
#include "platform/base/yaml.h"
#include "platform/files.h"
#include "platform/key_combination.h"

namespace mill::agent {

Result<Config> parse_config(std::string_view yaml, std::string_view where)
{
    auto document = parse_yaml(yaml);
    if (!document) return fail(where, std::move(document.error()));
    if (document->value.is_null()) return Config{};
    Fields fields(document->value, std::string(where));
    Config config;
    config.slots = static_cast<unsigned>(fields.integer("slots", 1, 256, 0));
    if (fields.has("warm")) config.warm = static_cast<unsigned>(fields.integer("warm", 0, 32));
    config.factory = fields.text("factory", "");
    config.proxy = fields.text("proxy", "");
    config.ca_file = fields.text("caFile", "");
    config.stop_key = fields.text("stopKey", config.stop_key);
    if (auto keys = platform::parse_key_combination(config.stop_key); !keys && config.stop_key != "none") fields.mistake("stopKey", keys.error().what + ", or none");
    config.metrics = fields.text("metrics", "");
    if (fields.has("sessions")) {
        config.sessions = fields.text("sessions", "");
        if (*config.sessions == "off") config.sessions->clear();
        else if (!config.sessions->starts_with('/')) fields.mistake("sessions", "must be the absolute path of a socket, such as /run/millwright/agent/sessions, or off");
    }
    config.certificate_file = fields.text("clientCertificate", "");
    config.key_file = fields.text("clientKey", "");
    if (config.certificate_file.empty() != config.key_file.empty())
        fields.mistake(config.key_file.empty() ? "clientKey" : "clientCertificate", "is missing: a client certificate needs both");
    config.subscribe = fields.boolean("subscribe", true);
    if (auto interval = parse_duration(fields.text("pollInterval", "30s")); interval && *interval >= Milliseconds(1'000) && *interval <= std::chrono::hours(1)) config.poll_interval = *interval;
    else fields.mistake("pollInterval", interval ? "must be from 1s to 1h" : interval.error().what);
    if (fields.has("pollInterval") && config.subscribe) fields.mistake("pollInterval", "is for 'subscribe: false' only: a subscribed agent hears of a job at once");
    if (fields.has("keyMaxAge")) {
        auto age = parse_duration(fields.text("keyMaxAge"));
        if (age && *age >= std::chrono::hours(1)) config.key_max_age = *age;
        else fields.mistake("keyMaxAge", age ? "must be at least 1h" : age.error().what);
    }
    const auto bytes = [](Fields& from, std::string_view key, ByteCount& out) {
        const std::string text = from.text(key, format_bytes(out));
        auto read = parse_bytes(text);
        if (read) out = *read;
        else from.mistake(key, read.error().what);
    };
    Fields quotas(fields.object("quotas", Json::object()), "quotas");
    bytes(quotas, "packages", config.package_quota);
    bytes(quotas, "attempt", config.attempt_quota);
    bytes(quotas, "journal", config.journal_quota);
    bytes(quotas, "keepFree", config.keep_free);
    if (auto done = quotas.done(); !done) fields.mistake("quotas", done.error().what);
    Fields stop(fields.object("stop", Json::object()), "stop");
    config.finish_jobs = stop.one_of("jobs", {"cancel", "finish"}, "cancel") == "finish";
    auto wait = parse_duration(stop.text("wait", "30s"));
    if (wait) config.stop_wait = *wait;
    else stop.mistake("wait", wait.error().what);
    if (auto done = stop.done(); !done) fields.mistake("stop", done.error().what);
    auto level = log::parse_level(fields.text("log", "info"));
    if (level) config.log_level = *level;
    else fields.mistake("log", level.error().what);
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return config;
}

Result<Config> load_config(const std::string& path, const std::string& data_folder)
{
    const std::string file = path.empty() ? data_folder + "/config.yaml" : path;
    auto text = platform::read_file(file, 1024 * 1024);
    if (!text && path.empty() && text.error().code == Errc::not_found) return Config{};
    if (!text) return fail(file, std::move(text.error()));
    return parse_config(*text, file);
}

Status check_files(const Config& config)
{
    struct Named {
        std::string_view setting;
        const std::string& file;
        std::string_view holds;
    };
    for (const Named& each : {Named{"caFile", config.ca_file, "-----BEGIN CERTIFICATE-----"}, Named{"clientCertificate", config.certificate_file, "-----BEGIN CERTIFICATE-----"},
                              Named{"clientKey", config.key_file, "PRIVATE KEY-----"}}) {
        if (each.file.empty()) continue;
        auto text = platform::read_file(each.file, 16 * 1024 * 1024);
        if (!text) return fail(Errc::invalid, fmt::format("{}: {}: {}", each.setting, each.file, text.error().what));
        if (text->find(each.holds) == std::string::npos) return fail(Errc::invalid, fmt::format("{}: {} holds none in PEM", each.setting, each.file));
    }
    return {};
}

}  // namespace mill::agent
