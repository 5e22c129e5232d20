#include "agent/broker/verdict.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <iterator>
#include <optional>

#include <fmt/core.h>

namespace mill::broker {
namespace {

constexpr std::size_t kMaxPath = 4096;

tl::unexpected<EffectError> denied(std::string_view what, std::string_view yaml)
{
    return refuse("authorization", 403, "Not granted",
                  fmt::format("{} is not granted; this line in package.yaml, and the same granted by the deployment, would allow it: "
                              "permissions: {{ {} }}", what, yaml));
}

/// The host that a rule of `network` names, in lower case.
std::string rule_host(std::string_view rule)
{
    if (const auto scheme = rule.find("://"); scheme != std::string_view::npos) rule.remove_prefix(scheme + 3);
    if (const auto slash = rule.find('/'); slash != std::string_view::npos) rule = rule.substr(0, slash);
    std::string host;
    if (!rule.empty() && rule.front() == '[') {
        host = rule.substr(1, rule.find(']') == std::string_view::npos ? std::string_view::npos : rule.find(']') - 1);
    } else {
        const auto colon = rule.rfind(':');
        const bool bare_v6 = colon != std::string_view::npos && rule.find(':') != colon;
        host = colon == std::string_view::npos || bare_v6 ? rule : rule.substr(0, colon);
    }
    std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) { return std::tolower(c); });
    return host;
}

bool names_literally(const protocol::Permissions& grants, const platform::Uri& uri, std::string_view host)
{
    return std::any_of(grants.network.begin(), grants.network.end(), [&](const std::string& rule) {
        return rule_host(rule) == host && host.find('*') == std::string_view::npos &&
               protocol::admits_network({rule}, uri.scheme, host, uri.port);
    });
}

std::string shown(std::string_view path) { return std::string(path.substr(0, 200)); }

constexpr std::array kProgramFolders = {"/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"};

/// The folder part resolved (/bin is /usr/bin on a merged system), the name as written. Nothing when it is no program.
std::optional<std::string> real_program(const std::filesystem::path& path)
{
    std::error_code failed;
    const auto folder = std::filesystem::canonical(path.parent_path(), failed);
    if (failed) return std::nullopt;
    const auto full = folder / path.filename();
    const auto status = std::filesystem::status(full, failed);
    using std::filesystem::perms;
    constexpr auto kExecute = perms::owner_exec | perms::group_exec | perms::others_exec;
    if (failed || !std::filesystem::is_regular_file(status) || (status.permissions() & kExecute) == perms::none) return std::nullopt;
    return full.string();
}

std::optional<std::string> find_program(std::string_view name)
{
    if (name.front() == '/') return real_program(std::filesystem::path(name));
    for (const char* folder : kProgramFolders)
        if (auto found = real_program(std::filesystem::path(folder) / name)) return found;
    return std::nullopt;
}

bool is_program_name(std::string_view text)
{
    if (text.empty() || text.size() > kMaxPath || text.find('\0') != std::string_view::npos) return false;
    if (text.front() != '/') return text.find('/') == std::string_view::npos && text != "." && text != "..";
    const std::filesystem::path path(text);
    return path.has_filename() && std::none_of(path.begin(), path.end(), [](const auto& part) { return part == ".." || part == "."; });
}

}  // namespace

Outcome<void> may_connect(const protocol::Permissions& grants, const platform::Uri& uri)
{
    if (protocol::admits_network(grants.network, uri.scheme, uri.host, uri.port)) return {};
    const std::string address = fmt::format("{}://{}", uri.scheme, uri.authority());
    return denied(fmt::format("network access to {}", address), fmt::format("network: [ \"{}\" ]", address));
}

Outcome<std::vector<std::string>> admit_addresses(const protocol::Permissions& grants, const platform::Uri& uri,
                                                  const std::vector<std::string>& addresses)
{
    const bool host_named = names_literally(grants, uri, uri.host);
    const bool local_name = uri.host == "localhost" && host_named;
    std::vector<std::string> admitted;
    std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(admitted), [&](const std::string& address) {
        switch (platform::reach_of(address)) {
        case platform::Reach::open: return true;
        case platform::Reach::inside: return host_named || names_literally(grants, uri, address);
        case platform::Reach::near: break;
        case platform::Reach::here: return local_name || names_literally(grants, uri, address);
        }
        return names_literally(grants, uri, address);
    });
    if (!admitted.empty()) return admitted;
    if (addresses.empty()) return refuse("communication", 503, "No address", fmt::format("{} has no address", uri.host));
    return denied(fmt::format("{}, which is the private address {},", uri.host, addresses.front()),
                  fmt::format("network: [ \"{}://{}:{}\" ]", uri.scheme,
                              addresses.front().find(':') == std::string::npos ? addresses.front() : "[" + addresses.front() + "]", uri.port));
}

Outcome<Place> may_reach(const protocol::Permissions& grants, std::string_view path, Access access)
{
    const auto bad = [&](std::string_view why) { return refuse("validation", 400, "Bad path", fmt::format("'{}' {}", shown(path), why)); };
    if (path.empty() || path.front() != '/') return bad("is not an absolute path");
    if (path.size() > kMaxPath) return bad("is too long");
    if (path.find('\0') != std::string_view::npos) return bad("holds a zero byte");
    std::string clean;  // without doubled and trailing slashes
    for (std::size_t from = 1; from <= path.size();) {
        std::size_t end = path.find('/', from);
        if (end == std::string_view::npos) end = path.size();
        const std::string_view part = path.substr(from, end - from);
        if (part == ".." || part == ".") return bad("holds the part '.' or '..'");
        if (!part.empty()) clean += fmt::format("/{}", part);
        from = end + 1;
    }
    if (clean.empty()) clean = "/";
    for (std::string_view kernel : {"/proc", "/sys", "/dev"})
        if (clean == kernel || clean.starts_with(std::string(kernel) + "/"))
            return refuse("authorization", 403, "Not granted", fmt::format("'{}' is the system's own: it cannot be granted", shown(clean)));

    std::string best;
    const auto consider = [&](const std::vector<std::string>& rules) {
        for (const std::string& rule : rules)
            if (rule.size() > best.size() && protocol::covers_path({rule}, clean)) best = rule;
    };
    consider(grants.write);
    if (access == Access::read) consider(grants.read);
    if (best.empty()) {
        const std::string_view verb = access == Access::read ? "read" : "write";
        return denied(fmt::format("{} '{}'", access == Access::read ? "reading" : "writing", shown(clean)),
                      fmt::format("files: {{ {}: [ \"{}\" ] }}", verb, shown(clean)));
    }
    while (best.size() > 1 && best.back() == '/') best.pop_back();
    if (best.size() == clean.size()) {
        const std::size_t slash = clean.rfind('/');
        return Place{slash == 0 ? "/" : clean.substr(0, slash), clean.substr(slash + 1), true};
    }
    return Place{best, clean.substr(best == "/" ? 1 : best.size() + 1), false};
}

Outcome<std::string> may_start(const protocol::Permissions& grants, std::string_view program)
{
    if (!is_program_name(program))
        return refuse("validation", 400, "Bad command", fmt::format("'{}' is neither an absolute path nor a bare name", shown(program)));
    const auto found = find_program(program);
    const bool granted = std::any_of(grants.commands.begin(), grants.commands.end(), [&](const std::string& rule) {
        if (rule == program) return true;
        if (!found || !is_program_name(rule)) return false;
        const auto allowed = find_program(rule);
        return allowed && *allowed == *found;
    });
    if (!granted) return denied(fmt::format("the command '{}'", shown(program)), fmt::format("commands: [ \"{}\" ]", shown(program)));
    if (!found) return refuse("configuration", 404, "No such program", fmt::format("'{}' is granted, but not on this machine", shown(program)));
    return *found;
}

Outcome<void> may_see_usage(const protocol::Permissions& grants)
{
    if (std::find(grants.system.begin(), grants.system.end(), "usage") != grants.system.end()) return {};
    return denied("reading the usage of the machine", "system: [ usage ]");
}

Outcome<void> may_use_credential(const protocol::Permissions& grants, std::string_view name)
{
    if (std::find(grants.credentials.begin(), grants.credentials.end(), name) != grants.credentials.end()) return {};
    return denied(fmt::format("the credential '{}'", shown(name)), fmt::format("credentials: [ \"{}\" ]", shown(name)));
}

Outcome<void> may_reveal(const protocol::Permissions& grants, std::string_view name)
{
    if (auto usable = may_use_credential(grants, name); !usable) return usable;
    if (std::find(grants.reveal.begin(), grants.reveal.end(), name) != grants.reveal.end()) return {};
    return denied(fmt::format("giving a command the values of the credential '{}'", shown(name)), fmt::format("reveal: [ \"{}\" ]", shown(name)));
}

}  // namespace mill::broker
