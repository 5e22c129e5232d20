#include "factory/notify/egress.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/base/text.h"
#include "platform/crypto.h"

namespace mill::factory {
std::uint16_t default_port(std::string_view scheme) { return scheme == "https" ? 443 : scheme == "smtp" ? 587 : scheme == "smtps" ? 465 : 80; }

Result<EgressRules> EgressRules::parse(const std::vector<std::string>& rules)
{
    EgressRules out;
    std::vector<std::string> mistakes;
    for (const std::string& text : rules) {
        const auto scheme_end = text.find("://");
        Rule rule;
        if (scheme_end != std::string::npos) rule.scheme = text.substr(0, scheme_end);
        std::string rest = scheme_end == std::string::npos ? std::string() : text.substr(scheme_end + 3);
        if (rest.ends_with('/')) rest.pop_back();
        if (rest.starts_with('[')) {
            const auto close = rest.find(']');
            rule.host = rest.substr(1, close == std::string::npos ? rest.npos : close - 1);
            rest = close == std::string::npos ? std::string("?") : rest.substr(close + 1);
        } else {
            const auto colon = rest.find(':');
            rule.host = rest.substr(0, colon);
            rest = colon == std::string::npos ? std::string() : rest.substr(colon);
        }
        if (rest.starts_with(':')) rule.port = rest.substr(1);
        const bool port_fine = rest.empty() || rule.port == "*" || (!rule.port.empty() && rule.port.size() <= 5 && rule.port.find_first_not_of("0123456789") == std::string::npos);
        for (char& c : rule.host)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        const bool host_fine = !rule.host.empty() && rule.host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_*:") == std::string::npos;
        if ((rule.scheme != "http" && rule.scheme != "https" && rule.scheme != "smtp" && rule.scheme != "smtps" && rule.scheme != "*") || !port_fine || !host_fine)
            mistakes.push_back(fmt::format("'{}' is no origin such as https://tickets.corp.example, http://127.0.0.1:8080, http://127.0.0.1:* or smtp://mail.corp.example", text));
        else
            out.rules_.push_back(std::move(rule));
    }
    if (!mistakes.empty()) return fail(Errc::invalid, fmt::format("{}", fmt::join(mistakes, "; ")));
    return out;
}

bool EgressRules::names(const platform::Uri& uri, const std::string& address) const
{
    for (const Rule& rule : rules_) {
        if (rule.scheme != "*" && rule.scheme != uri.scheme) continue;
        if (!matches_pattern(rule.host, uri.host) && !matches_pattern(rule.host, address)) continue;
        if (rule.port == "*" || (rule.port.empty() ? uri.port == default_port(uri.scheme) : rule.port == std::to_string(uri.port))) return true;
    }
    return false;
}

Egress::Egress(EgressRules rules, std::string ca_file, Resolve resolve, OwnAddresses own)
    : rules_(std::move(rules)), ca_file_(std::move(ca_file)), resolve_(std::move(resolve)), own_(std::move(own))
{
}

Result<std::string> Egress::choose_address(const platform::Uri& uri) const
{
    const auto addresses = resolve_(uri.host);
    if (!addresses) return fail(addresses.error());
    if (addresses->empty()) return fail(Errc::unavailable, fmt::format("'{}' has no address", uri.host));
    const std::vector<std::string> own = own_();
    for (const std::string& address : *addresses) {
        const bool guarded = platform::is_private_address(address) || std::find(own.begin(), own.end(), address) != own.end();
        if (!guarded || rules_.names(uri, address)) return address;
    }
    return fail(Errc::denied, fmt::format("{} is the address {}, which the factory does not call unless its configuration says so: egress: [ \"{}://{}\" ]", uri.host,
                                          addresses->front(), uri.scheme, uri.authority()));
}

std::shared_ptr<platform::HttpClient> Egress::client(const platform::Uri& uri, const std::string& address, const ClientCertificate* certificate)
{
    std::string key = uri.scheme + "://" + uri.authority() + " " + address;
    if (certificate != nullptr) key += " " + platform::sha256(certificate->certificate + "\n" + certificate->key + "\n" + certificate->authority);
    const std::scoped_lock lock(mutex_);
    if (const auto found = clients_.find(key); found != clients_.end()) return found->second;
    if (clients_.size() >= 64) clients_.clear();  // those in use live on until they are done
    platform::HttpOptions options;
    options.ca_file = ca_file_;
    options.pinned_address = address;
    options.connections = 4;
    if (certificate != nullptr) {
        options.certificate_pem = certificate->certificate;
        options.key_pem = certificate->key;
        options.authority_pem = certificate->authority;
    }
    std::shared_ptr<platform::HttpClient> made = platform::make_http_client(std::move(options));
    clients_.emplace(key, made);
    return made;
}

Result<platform::HttpResponse> Egress::send(const platform::HttpRequest& request, std::stop_token stop, const ClientCertificate* certificate)
{
    const auto uri = platform::parse_uri(request.uri);
    if (!uri) return fail(uri.error());
    const auto address = choose_address(*uri);
    if (!address) return fail(address.error());
    return client(*uri, *address, certificate)->send(request, stop);
}

}  // namespace mill::factory
