// factory/notify/egress.h -- the one way out of the factory: addresses resolved once and pinned, private ones refused unless named.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/http_client.h"
#include "platform/own_addresses.h"

namespace mill::factory {

/// Of http, https, smtp and smtps.
std::uint16_t default_port(std::string_view scheme);

/// `egress:` of the configuration: origins such as "http://127.0.0.1:*", "https://*.corp.example", "https://10.1.*:8443", "smtp://mail.corp.example:*".
/// Public addresses need no rule; loopback, private, link-local ones and this machine's own do.
class EgressRules {
public:
    /// Errors: invalid, all mistakes.
    static Result<EgressRules> parse(const std::vector<std::string>& rules);
    /// A rule names this scheme and port, and the host as written or the address it stands for.
    bool names(const platform::Uri& uri, const std::string& address) const;

private:
    struct Rule {
        std::string scheme, host, port;  ///< port "" = the scheme's default, "*" = any
    };
    std::vector<Rule> rules_;
};

/// Shown to a server that asks for one (platform/client_certificate.h); PEM.
struct ClientCertificate {
    std::string credential, words;   ///< its name; whose it is and until when
    std::string certificate, key, authority;
};

/// Sends requests of the factory. Never follows redirects (a 3xx is an answer). Thread: any.
class Egress {
public:
    using Resolve = std::function<Result<std::vector<std::string>>(std::string_view host)>;
    using OwnAddresses = std::function<std::vector<std::string>()>;
    explicit Egress(EgressRules rules, std::string ca_file = {}, Resolve resolve = platform::resolve, OwnAddresses own = platform::own_addresses);

    /// Errors: denied (an address that no rule names: says which key of the configuration would allow it), and those of HttpClient::send.
    /// Blocks: up to the request's timeout, and for the resolver.
    Result<platform::HttpResponse> send(const platform::HttpRequest& request, std::stop_token stop = {}, const ClientCertificate* certificate = nullptr);

    /// The address to connect to, of those that the host has now. Errors: denied, unavailable. Blocks: for the resolver.
    Result<std::string> choose_address(const platform::Uri& uri) const;
    const std::string& ca_file() const { return ca_file_; }

private:
    std::shared_ptr<platform::HttpClient> client(const platform::Uri& uri, const std::string& address, const ClientCertificate* certificate);

    EgressRules rules_;
    std::string ca_file_;
    Resolve resolve_;
    OwnAddresses own_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<platform::HttpClient>> clients_;  ///< by origin, address and certificate
};

}  // namespace mill::factory
