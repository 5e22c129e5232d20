#include "protocol/permissions.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "platform/base/clock.h"
#include "platform/base/fields.h"
#include "platform/base/text.h"
#include "protocol/metric.h"

namespace mill::protocol {
namespace {

/// One rule of `network`, taken apart. An empty scheme is any, port 0 is any.
struct Rule {
    std::string scheme, host;
    std::uint16_t port = 0;
};

bool is_host(std::string_view host)
{
    if (host == "*") return true;
    if (host.starts_with("*.")) host.remove_prefix(2);
    if (host.empty() || host.size() > 253) return false;
    if (host.find(':') != std::string_view::npos) return host.find_first_not_of("0123456789abcdef:.") == std::string_view::npos;
    if (host.front() == '.' || host.back() == '.' || host.front() == '-' || host.find("..") != std::string_view::npos) return false;
    return host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") == std::string_view::npos;
}

std::uint16_t default_port(std::string_view scheme)
{
    if (scheme == "https" || scheme == "wss") return 443;
    return scheme == "http" || scheme == "ws" ? 80 : 0;
}

/// Nothing, and why in `wrong`, when it is no rule.
std::optional<Rule> parse_rule(std::string_view text, std::string& wrong)
{
    Rule rule;
    std::string_view rest = text;
    if (rest == "*") return Rule{"", "*", 0};
    if (const auto at = rest.find("://"); at != std::string_view::npos) {
        rule.scheme = lower_case(rest.substr(0, at));
        rest.remove_prefix(at + 3);
        if (rule.scheme.empty() || rule.scheme.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+.-") != std::string::npos) {
            wrong = "has a scheme that is none";
            return std::nullopt;
        }
    }
    if (rest.ends_with('/')) rest.remove_suffix(1);
    std::string_view port;
    bool has_port = false;
    if (rest.starts_with('[')) {
        const auto end = rest.find(']');
        if (end == std::string_view::npos) {
            wrong = "has no closing ']'";
            return std::nullopt;
        }
        rule.host = lower_case(rest.substr(1, end - 1));
        rest.remove_prefix(end + 1);
        has_port = rest.starts_with(':');
        if (has_port) port = rest.substr(1);
        else if (!rest.empty()) rule.host.clear();
    } else {
        const auto colon = rest.rfind(':');
        has_port = colon != std::string_view::npos;
        rule.host = lower_case(rest.substr(0, colon));
        if (has_port) port = rest.substr(colon + 1);
        if (rule.host.find(':') != std::string::npos) rule.host.clear();
    }
    if (!is_host(rule.host)) {
        wrong = "names no host (a path, a user or a query does not belong here)";
        return std::nullopt;
    }
    if (!has_port) {
        rule.port = default_port(rule.scheme);
        if (rule.port == 0) wrong = "needs a port or one of the schemes https and http";
        return rule.port == 0 ? std::nullopt : std::optional(rule);
    }
    if (port == "*") return rule;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), rule.port);
    if (error != std::errc() || end != port.data() + port.size() || rule.port == 0) {
        wrong = "has a port that is none (1 to 65535, or *)";
        return std::nullopt;
    }
    return rule;
}

bool host_covers(std::string_view granted, std::string_view host)
{
    if (granted == "*" || granted == host) return true;
    return granted.starts_with("*.") && host.size() > granted.size() - 1 && host.ends_with(granted.substr(1));
}

bool covers(const Rule& granted, const Rule& asked)
{
    return (granted.scheme.empty() || granted.scheme == asked.scheme) && (granted.port == 0 || granted.port == asked.port) &&
           host_covers(granted.host, asked.host);
}

bool network_covered(const std::vector<std::string>& granted, std::string_view asked)
{
    std::string wrong;
    const auto rule = parse_rule(asked, wrong);
    return rule && std::any_of(granted.begin(), granted.end(), [&](const std::string& text) {
               const auto other = parse_rule(text, wrong);
               return other && covers(*other, *rule);
           });
}

bool has(const std::vector<std::string>& list, const std::string& item)
{
    return std::find(list.begin(), list.end(), item) != list.end();
}

/// "*" among the granted commands is any; an asked absolute path needs just that path.
bool command_covered(const std::vector<std::string>& granted, const std::string& asked)
{
    return has(granted, asked) || has(granted, "*");
}

bool read_covered(const Permissions& granted, const std::string& path)
{
    return covers_path(granted.read, path) || covers_path(granted.write, path);
}

const char* path_mistake(std::string_view path)
{
    if (!path.starts_with('/')) return "is not an absolute path";
    if (path.find('\0') != std::string_view::npos || path.size() > 4096) return "is no path";
    const std::string padded = std::string(path) + "/";
    if (padded.find("/../") != std::string::npos || padded.find("/./") != std::string::npos) return "holds '.' or '..'";
    return nullptr;
}

std::string clean_path(std::string path)
{
    std::string out;
    for (const char c : path)
        if (c != '/' || out.empty() || out.back() != '/') out += c;
    if (out.size() > 1 && out.back() == '/') out.pop_back();
    return out;
}

std::vector<std::string> read_paths(Fields& fields, std::string_view key)
{
    std::vector<std::string> out;
    for (std::string& path : fields.texts(key)) {
        if (const char* wrong = path_mistake(path)) fields.mistake(key, fmt::format("'{}' {}", path, wrong));
        else out.push_back(clean_path(std::move(path)));
    }
    return out;
}

std::vector<std::string> read_metric_rules(Fields& fields, std::string_view key)
{
    std::vector<std::string> out = fields.texts(key);
    for (const std::string& rule : out)
        if (const std::string wrong = metric_rule_mistake(rule); !wrong.empty()) fields.mistake(key, fmt::format("'{}' {}", rule.substr(0, 160), wrong));
    return out;
}

std::string as_text(const Json& value) { return value.is_string() ? value.as_string() : dump_json(value); }

ByteCount read_bytes(Fields& fields, std::string_view key, ByteCount fallback)
{
    if (!fields.has(key)) return fallback;
    const auto bytes = parse_bytes(as_text(fields.any(key, Json())));
    if (!bytes || bytes->bytes == 0) fields.mistake(key, bytes ? "must not be 0" : bytes.error().what);
    return bytes ? *bytes : fallback;
}

std::chrono::milliseconds read_time(Fields& fields, std::string_view key, std::chrono::milliseconds fallback)
{
    if (!fields.has(key)) return fallback;
    const auto time = parse_duration(as_text(fields.any(key, Json())));
    if (!time || time->count() <= 0) fields.mistake(key, time ? "must not be 0" : time.error().what);
    return time ? *time : fallback;
}

Limits read_limits(Fields& fields)
{
    Limits limits;
    limits.memory = read_bytes(fields, "memory", limits.memory);
    limits.output = read_bytes(fields, "output", limits.output);
    limits.cpu = read_time(fields, "cpu", limits.cpu);
    limits.time = read_time(fields, "time", limits.time);
    limits.idle = read_time(fields, "idle", limits.idle);
    limits.processes = static_cast<std::uint32_t>(fields.integer("processes", 1, 10'000, limits.processes));
    // Only these bound a whole tree, which not every machine can do.
    limits.stated = fields.has("memory") || fields.has("cpu") || fields.has("processes");
    return limits;
}

}  // namespace

Result<Permissions> parse_permissions(const Json& json, std::string_view where)
{
    Permissions out;
    if (json.is_null()) return out;
    Fields fields(json, std::string(where));
    for (std::string& text : fields.texts("network")) {
        std::string wrong;
        if (!parse_rule(text, wrong)) fields.mistake("network", fmt::format("'{}' {}", text, wrong));
        else out.network.push_back(std::move(text));
    }
    Fields files(fields.object("files", Json::object()), fmt::format("{}: files", where));
    out.read = read_paths(files, "read");
    out.write = read_paths(files, "write");
    for (std::string& text : fields.texts("commands")) {
        const bool path = text.find('/') != std::string::npos;
        const char* wrong = text.empty() ? "is empty" : path ? path_mistake(text) : nullptr;
        if (wrong != nullptr) fields.mistake("commands", fmt::format("'{}' {}", text, wrong));
        else out.commands.push_back(path ? clean_path(std::move(text)) : std::move(text));
    }
    out.credentials = fields.texts("credentials");
    out.reveal = fields.texts("reveal");
    for (const std::string& name : out.reveal)
        if (!has(out.credentials, name) && !has(out.credentials, "*"))
            fields.mistake("reveal", fmt::format("names '{0}', which 'credentials' does not: a value can be shown only of a credential that may be used; "
                                                 "write credentials: [ {0} ] beside it", name.substr(0, 100)));
    out.system = fields.texts("system");
    for (const std::string& text : out.system)
        if (text != "usage") fields.mistake("system", fmt::format("'{}' is not known; there is: usage", text));
    for (const std::string_view later : {"desktop", "browser", "jobs", "ask"})
        if (fields.has(later)) {
            (void)fields.any(later);
            fields.mistake(later, "is not supported by this version");
        }
    Fields metrics(fields.object("metrics", Json::object()), fmt::format("{}: metrics", where));
    out.publish_metrics = read_metric_rules(metrics, "publish");
    out.read_metrics = read_metric_rules(metrics, "read");
    Fields limits(fields.object("limits", Json::object()), fmt::format("{}: limits", where));
    if (fields.has("limits")) out.limits = read_limits(limits);
    std::string wrong;
    for (Fields* part : {&fields, &files, &metrics, &limits})
        if (auto ok = part->done(); !ok) wrong += (wrong.empty() ? "" : "; ") + ok.error().what;
    if (!wrong.empty()) return fail(Errc::invalid, wrong);
    return out;
}

Json to_json(const Permissions& permissions)
{
    const auto list = [](const std::vector<std::string>& texts) {
        Json out = Json::array();
        for (const std::string& text : texts) out.push(text);
        return out;
    };
    Json json = Json::object();
    if (!permissions.network.empty()) json.set("network", list(permissions.network));
    if (!permissions.read.empty() || !permissions.write.empty()) {
        Json files = Json::object();
        if (!permissions.read.empty()) files.set("read", list(permissions.read));
        if (!permissions.write.empty()) files.set("write", list(permissions.write));
        json.set("files", files);
    }
    if (!permissions.commands.empty()) json.set("commands", list(permissions.commands));
    if (!permissions.credentials.empty()) json.set("credentials", list(permissions.credentials));
    if (!permissions.reveal.empty()) json.set("reveal", list(permissions.reveal));
    if (!permissions.publish_metrics.empty() || !permissions.read_metrics.empty()) {
        Json metrics = Json::object();
        if (!permissions.publish_metrics.empty()) metrics.set("publish", list(permissions.publish_metrics));
        if (!permissions.read_metrics.empty()) metrics.set("read", list(permissions.read_metrics));
        json.set("metrics", metrics);
    }
    if (!permissions.system.empty()) json.set("system", list(permissions.system));
    const Limits &limits = permissions.limits, defaults;
    Json bounds = Json::object();
    if (limits.stated) bounds.set("memory", format_bytes(limits.memory)).set("cpu", format_duration(limits.cpu));
    if (limits.stated || limits.time != defaults.time) bounds.set("time", format_duration(limits.time));
    if (limits.idle != defaults.idle) bounds.set("idle", format_duration(limits.idle));
    if (limits.stated) bounds.set("processes", limits.processes);
    if (limits.stated || limits.output != defaults.output) bounds.set("output", format_bytes(limits.output));
    if (!bounds.empty()) json.set("limits", bounds);
    return json;
}

std::vector<std::string> missing(const Permissions& asked, const Permissions& granted)
{
    std::vector<std::string> out;
    for (const auto& rule : asked.network)
        if (!network_covered(granted.network, rule)) out.push_back("network " + rule);
    for (const auto& path : asked.read)
        if (!read_covered(granted, path)) out.push_back("files.read " + path);
    for (const auto& path : asked.write)
        if (!covers_path(granted.write, path)) out.push_back("files.write " + path);
    for (const auto& command : asked.commands)
        if (!command_covered(granted.commands, command)) out.push_back("commands " + command);
    for (const auto& credential : asked.credentials)
        if (!has(granted.credentials, credential) && !has(granted.credentials, "*")) out.push_back("credentials " + credential);
    for (const auto& name : asked.reveal)
        if (!has(granted.reveal, name) && !has(granted.reveal, "*")) out.push_back("reveal " + name);
    for (const auto& name : asked.publish_metrics)
        if (!admits_metric(granted.publish_metrics, name)) out.push_back("metrics.publish " + name);
    for (const auto& name : asked.read_metrics)
        if (!admits_metric(granted.read_metrics, name)) out.push_back("metrics.read " + name);
    for (const auto& item : asked.system)
        if (!has(granted.system, item)) out.push_back("system " + item);
    const Limits &a = asked.limits, &g = granted.limits, defaults;  // a default bends to what is granted
    if (a.stated && a.memory > g.memory) out.push_back("limits.memory " + format_bytes(a.memory));
    if (a.stated && a.cpu > g.cpu) out.push_back("limits.cpu " + format_duration(a.cpu));
    if (a.time != defaults.time && a.time > g.time) out.push_back("limits.time " + format_duration(a.time));
    if (a.stated && a.processes > g.processes) out.push_back(fmt::format("limits.processes {}", a.processes));
    if (a.output != defaults.output && a.output > g.output) out.push_back("limits.output " + format_bytes(a.output));
    return out;
}

Permissions intersect(const Permissions& asked, const Permissions& cap)
{
    const auto keep = [](const std::vector<std::string>& items, auto covered) {
        std::vector<std::string> out;
        std::copy_if(items.begin(), items.end(), std::back_inserter(out), covered);
        return out;
    };
    Permissions out;
    out.network = keep(asked.network, [&](const auto& item) { return network_covered(cap.network, item); });
    out.read = keep(asked.read, [&](const auto& item) { return read_covered(cap, item); });
    out.write = keep(asked.write, [&](const auto& item) { return covers_path(cap.write, item); });
    out.commands = keep(asked.commands, [&](const auto& item) { return command_covered(cap.commands, item); });
    out.credentials = keep(asked.credentials, [&](const auto& item) { return has(cap.credentials, item) || has(cap.credentials, "*"); });
    out.reveal = keep(asked.reveal, [&](const auto& item) { return (has(cap.reveal, item) || has(cap.reveal, "*")) && (has(out.credentials, item) || has(out.credentials, "*")); });
    out.publish_metrics = keep(asked.publish_metrics, [&](const auto& item) { return admits_metric(cap.publish_metrics, item); });
    out.read_metrics = keep(asked.read_metrics, [&](const auto& item) { return admits_metric(cap.read_metrics, item); });
    out.system = keep(asked.system, [&](const auto& item) { return has(cap.system, item); });
    const Limits &a = asked.limits, &c = cap.limits;
    const auto idle = a.idle.count() == 0 || (c.idle.count() != 0 && c.idle < a.idle) ? c.idle : a.idle;  // 0: none
    out.limits = {std::min(a.memory, c.memory), std::min(a.cpu, c.cpu), std::min(a.time, c.time), idle,
                  std::min(a.processes, c.processes), std::min(a.output, c.output), a.stated || c.stated};
    return out;
}

bool admits_network(const std::vector<std::string>& rules, std::string_view scheme, std::string_view host, std::uint16_t port)
{
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const Rule asked{lower_case(scheme), lower_case(host), port};
    return std::any_of(rules.begin(), rules.end(), [&](const std::string& text) {
        std::string wrong;
        const auto rule = parse_rule(text, wrong);
        return rule && covers(*rule, asked);
    });
}

bool covers_path(const std::vector<std::string>& folders, std::string_view path)
{
    if (path_mistake(path) != nullptr) return false;
    const std::string clean = clean_path(std::string(path));
    return std::any_of(folders.begin(), folders.end(), [&](const std::string& text) {
        if (path_mistake(text) != nullptr) return false;
        const std::string folder = clean_path(text);
        return folder == "/" || clean == folder || (clean.starts_with(folder) && clean[folder.size()] == '/');
    });
}

}  // namespace mill::protocol
