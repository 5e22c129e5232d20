// platform/proxy_request.h -- the head of a request to an HTTP proxy (RFC 9110, RFC 9112): a tunnel to a host, or a plain HTTP request to pass on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "platform/base/result.h"
#include "platform/http_client.h"

namespace mill::platform {

struct ProxyRequest {
    static constexpr std::size_t kMaxHead = 8 * 1024;  ///< bytes, the empty line included
    bool tunnel = false;         ///< CONNECT
    Uri target;                  ///< of a tunnel: scheme https, host and port as asked for
    std::string head;            ///< plain: what to send on, in origin form, for one request on its own connection
    std::uint64_t body = 0;      ///< plain: so many bytes follow
};

/// Where the head ends (behind its empty line), 0 while it has not come whole. At most kMaxHead + 1 bytes need to be looked at.
std::size_t end_of_head(std::string_view bytes);

/// `head` as far as `end_of_head`. Errors: invalid (no such request; says what is wrong), too_large, conflict (a body without a length).
Result<ProxyRequest> parse_proxy_request(std::string_view head);

}  // namespace mill::platform
