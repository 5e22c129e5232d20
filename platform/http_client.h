// platform/http_client.h -- an HTTP client (cpprestsdk behind it; platform/http/ only).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "platform/base/result.h"

namespace mill::platform {

struct HttpRequest {
    std::string method = "GET";
    std::string uri;                                        ///< absolute, http or https
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::chrono::milliseconds timeout{30'000};              ///< whole exchange
    std::size_t max_response = 8 * 1024 * 1024;             ///< bytes of body
    bool repeatable = false;  ///< sending it twice has the effect of once. Else a fresh connection is used, and a cut after sending is never repeated
};

struct HttpResponse {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
    std::string body;
    std::string header(std::string_view lower_case_name) const;
};

struct HttpOptions {
    std::string ca_file;                    ///< PEM, beside the system's authorities
    std::string certificate_file, key_file; ///< client certificate
    std::string certificate_pem, key_pem;   ///< the same as text (platform/client_certificate.h)
    std::string authority_pem;              ///< authorities beside those of ca_file and the system
    std::string proxy;                      ///< "http://user:pass@host:port"; empty: direct (see proxy_for)
    /// Connect to this address whatever the host resolves to; several, parted by commas, are tried in order while none takes the connection.
    std::string pinned_address;
    std::size_t connections = 8;            ///< at once
    std::size_t threads = 4;                ///< of the library, for all clients of the process: what its first client says counts
};

/// One client per loop and destination; keeps connections. Redirects are never followed.
class HttpClient {
public:
    virtual ~HttpClient() = default;
    /// Any status is a response. Errors: unavailable (no connection; `what` says host, port and why), timeout, cancelled,
    /// too_large, denied (TLS: certificate not trusted or wrong name), invalid (the URI).
    /// Blocks: up to request.timeout. Thread: any but the library's own pool.
    virtual Result<HttpResponse> send(const HttpRequest& request, std::stop_token stop = {}) = 0;
};

std::unique_ptr<HttpClient> make_http_client(HttpOptions options = {});

/// The proxy that the environment (https_proxy, http_proxy, no_proxy) names for a URI; empty for none.
std::string proxy_for(std::string_view uri);

struct Uri {
    std::string scheme, host, path, query;  ///< host in lower case, IPv6 without brackets; path as written, "/" when empty
    std::uint16_t port = 0;                 ///< the scheme's default filled in
    std::string authority() const;          ///< host[:port], the port only when it is not the default
};
/// Errors: invalid (not absolute http(s), user info, fragment, control characters).
Result<Uri> parse_uri(std::string_view text);

/// All addresses of a host by the system's resolver; a literal address is its own. Blocks. Errors: unavailable.
Result<std::vector<std::string>> resolve(std::string_view host);
/// Where an address leads, the farthest first: out; into the house (private, shared and unique-local ranges); to the machines beside this
/// one and the clouds' metadata services (link-local, multicast, broadcast); to this machine (loopback, unspecified, what is no address).
/// Forms of IPv6 that carry an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo) lead where that one does.
enum class Reach { open, inside, near, here };
Reach reach_of(std::string_view address);
bool is_private_address(std::string_view address);  ///< any but open

}  // namespace mill::platform
