#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <iterator>

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "platform/base/text.h"
#include "platform/http_client.h"

namespace mill::platform {
namespace {

/// Letters, digits and what names, IPv4 and IPv6 addresses are written with.
bool is_host(std::string_view host, bool bracketed)
{
    if (host.empty() || host.size() > 253) return false;
    if (bracketed) {
        in6_addr address{};
        return inet_pton(AF_INET6, std::string(host).c_str(), &address) == 1;
    }
    if (host.front() == '-' || host.front() == '.' || host.find("..") != std::string_view::npos) return false;
    return host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") == std::string_view::npos;
}

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

/// no_proxy: names, domains (".example.com" or "example.com") and "*", parted by commas.
bool exempt(std::string_view list, std::string_view host)
{
    while (!list.empty()) {
        const auto cut = list.find(',');
        std::string_view item = list.substr(0, cut);
        list.remove_prefix(cut == std::string_view::npos ? list.size() : cut + 1);
        while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
        while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
        if (const auto port = item.rfind(':'); port != std::string_view::npos && item.find(':') == port) item = item.substr(0, port);
        if (item == "*") return true;
        if (item.starts_with("*")) item.remove_prefix(1);
        const std::string name = lower_case(item.starts_with(".") ? item.substr(1) : item);
        if (!name.empty() && (host == name || (host.size() > name.size() && host.ends_with(name) && host[host.size() - name.size() - 1] == '.'))) return true;
    }
    return false;
}

/// What the clouds tell a machine about itself, keys included, is told at these; most lie in a range that is no neighbour's.
constexpr std::uint32_t kMetadataV4[] = {0x6464'64C8, 0xA83F'8110, 0xC000'00C0};  // 100.100.100.200, 168.63.129.16, 192.0.0.192
constexpr unsigned char kMetadataV6[][16] = {{0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54},   // fd00:ec2::254
                                             {0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}};  // fd20:ce::254

Reach reach_of_v4(std::uint32_t address)
{
    const auto in = [&](std::uint32_t base, int bits) { return address >> (32 - bits) == base >> (32 - bits); };
    if (in(0x0000'0000, 8) || in(0x7F00'0000, 8)) return Reach::here;
    const bool metadata = std::find(std::begin(kMetadataV4), std::end(kMetadataV4), address) != std::end(kMetadataV4);
    if (metadata || in(0xA9FE'0000, 16) || address >= 0xE000'0000) return Reach::near;  // link-local; multicast, reserved and broadcast
    const bool inside = in(0x0A00'0000, 8) || in(0x6440'0000, 10) || in(0xAC10'0000, 12) || in(0xC000'0000, 24) || in(0xC0A8'0000, 16) || in(0xC612'0000, 15);
    return inside ? Reach::inside : Reach::open;
}

std::uint32_t v4_at(const unsigned char* bytes)
{
    return static_cast<std::uint32_t>(bytes[0]) << 24U | static_cast<std::uint32_t>(bytes[1]) << 16U | static_cast<std::uint32_t>(bytes[2]) << 8U | bytes[3];
}

/// 64:ff9b:1::/48 is translated by a prefix of the house's own length, so the IPv4 address stands at one of several places (RFC 6052).
Reach reach_of_local_nat64(const unsigned char* bytes)
{
    Reach worst = Reach::inside;
    const unsigned char places[][4] = {{bytes[6], bytes[7], bytes[9], bytes[10]}, {bytes[7], bytes[9], bytes[10], bytes[11]},
                                       {bytes[9], bytes[10], bytes[11], bytes[12]}, {bytes[12], bytes[13], bytes[14], bytes[15]}};
    for (const auto& place : places)
        if (place[0] != 0) worst = std::max(worst, reach_of_v4(v4_at(place)));  // zeros are the prefix, or what follows
    return worst;
}

/// Addresses that carry an IPv4 address lead where that one leads.
Reach reach_of_v6(const unsigned char* bytes)
{
    const auto begins = [&](std::initializer_list<unsigned char> prefix) { return std::equal(prefix.begin(), prefix.end(), bytes); };
    if (begins({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})) return reach_of_v4(v4_at(bytes + 12));
    if (begins({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})) return std::max(Reach::inside, reach_of_v4(v4_at(bytes + 12)));  // ::, ::1 and the old ::a.b.c.d
    if (begins({0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) return reach_of_v4(v4_at(bytes + 12));
    if (begins({0, 0x64, 0xff, 0x9b, 0, 1})) return reach_of_local_nat64(bytes);
    if (begins({0x20, 0x02})) return reach_of_v4(v4_at(bytes + 2));
    if (begins({0x20, 0x01, 0, 0})) return std::max(reach_of_v4(v4_at(bytes + 4)), reach_of_v4(~v4_at(bytes + 12)));  // Teredo: its server, its client
    for (const auto& metadata : kMetadataV6)
        if (std::equal(std::begin(metadata), std::end(metadata), bytes)) return Reach::near;
    if (bytes[0] == 0xff || (bytes[0] == 0xfe && (bytes[1] & 0xc0U) == 0x80)) return Reach::near;
    const bool inside = (bytes[0] & 0xfeU) == 0xfc || (bytes[0] == 0xfe && (bytes[1] & 0xc0U) == 0xc0) || begins({0, 0x64});
    return inside ? Reach::inside : Reach::open;
}

}  // namespace

std::string Uri::authority() const
{
    const std::string name = host.find(':') != std::string::npos ? "[" + host + "]" : host;
    const bool standard = (scheme == "https" && port == 443) || (scheme == "http" && port == 80);
    return standard ? name : fmt::format("{}:{}", name, port);
}

Result<Uri> parse_uri(std::string_view text)
{
    const auto wrong = [&](std::string_view why) { return fail(Errc::invalid, fmt::format("'{}' is no usable URI: {}", text.substr(0, 200), why)); };
    if (text.size() > 8192) return wrong("too long");
    for (const char c : text)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return wrong("it holds a space or a control character");
    Uri uri;
    const auto scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) return wrong("it does not begin with http:// or https://");
    uri.scheme = lower_case(text.substr(0, scheme_end));
    if (uri.scheme != "http" && uri.scheme != "https") return wrong("only http and https are supported");
    std::string_view rest = text.substr(scheme_end + 3);
    if (rest.find('#') != std::string_view::npos) return wrong("a fragment is not sent; leave '#…' away");
    const auto path_at = rest.find_first_of("/?\\");
    std::string_view authority = rest.substr(0, path_at);
    rest = path_at == std::string_view::npos ? std::string_view() : rest.substr(path_at);
    if (rest.starts_with('\\')) return wrong("it holds a backslash");
    if (authority.find('@') != std::string_view::npos) return wrong("user and password do not belong into it");
    std::string_view port;
    bool bracketed = false;
    if (authority.starts_with('[')) {
        const auto end = authority.find(']');
        if (end == std::string_view::npos) return wrong("']' is missing");
        bracketed = true;
        uri.host = lower_case(authority.substr(1, end - 1));
        port = authority.substr(end + 1);
        if (!port.empty() && !port.starts_with(':')) return wrong("the host is none");
    } else {
        const auto colon = authority.find(':');
        uri.host = lower_case(authority.substr(0, colon));
        port = colon == std::string_view::npos ? std::string_view() : authority.substr(colon);
    }
    if (!is_host(uri.host, bracketed)) return wrong("the host is none");
    uri.port = uri.scheme == "https" ? 443 : 80;
    if (port.size() > 1) {
        port.remove_prefix(1);
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), uri.port);
        if (error != std::errc() || end != port.data() + port.size() || uri.port == 0) return wrong("the port is none");
    }
    const auto query_at = rest.find('?');
    uri.path = rest.substr(0, query_at);
    if (uri.path.empty()) uri.path.assign(1, '/');
    if (query_at != std::string_view::npos) uri.query = rest.substr(query_at + 1);
    return uri;
}

std::string proxy_for(std::string_view text)
{
    const auto uri = parse_uri(text);
    if (!uri) return {};
    // The upper-case name of http_proxy is left out: a server may be made to set it (HTTP_PROXY from a "Proxy:" header).
    std::string proxy = environment(uri->scheme == "https" ? "https_proxy" : "http_proxy");
    if (proxy.empty() && uri->scheme == "https") proxy = environment("HTTPS_PROXY");
    if (proxy.empty()) return {};
    std::string exempted = environment("no_proxy");
    if (exempted.empty()) exempted = environment("NO_PROXY");
    if (exempt(exempted, uri->host)) return {};
    return proxy.find("://") == std::string::npos ? "http://" + proxy : proxy;
}

Result<std::vector<std::string>> resolve(std::string_view host)
{
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int failed = getaddrinfo(std::string(host).c_str(), nullptr, &hints, &found); failed != 0)
        return fail(Errc::unavailable, fmt::format("host {}: {}", host, gai_strerror(failed)));
    std::vector<std::string> out;
    for (const addrinfo* item = found; item != nullptr; item = item->ai_next) {
        char text[NI_MAXHOST] = {};
        if (getnameinfo(item->ai_addr, item->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0) out.emplace_back(text);
    }
    freeaddrinfo(found);
    if (out.empty()) return fail(Errc::unavailable, fmt::format("host {}: no address", host));
    return out;
}

Reach reach_of(std::string_view address)
{
    const std::string text(address.substr(0, address.find('%')));  // without the zone of a link-local address
    in_addr v4{};
    if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return reach_of_v4(ntohl(v4.s_addr));
    in6_addr v6{};
    if (inet_pton(AF_INET6, text.c_str(), &v6) == 1) return reach_of_v6(v6.s6_addr);
    return Reach::here;  // what is no address is not let out
}

bool is_private_address(std::string_view address) { return reach_of(address) != Reach::open; }

}  // namespace mill::platform
