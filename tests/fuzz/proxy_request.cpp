// Any bytes as what a command says to the proxy: refused, or a target and a head that is one request for that target only.
#include <cstdlib>
#include <string_view>

#include "platform/proxy_request.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size)
{
    using namespace mill::platform;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::size_t end = end_of_head(text);
    if (end > text.size() || end > ProxyRequest::kMaxHead + 1) std::abort();
    (void)parse_proxy_request(text);
    const auto request = parse_proxy_request(text.substr(0, end));
    if (!request) return 0;
    if (request->target.host.empty() || request->target.port == 0) std::abort();
    if (request->target.host.find_first_of(" /\\@\r\n") != std::string::npos) std::abort();
    if (request->tunnel) return request->head.empty() ? 0 : (std::abort(), 0);
    if (request->head.find("\r\n\r\n") + 4 != request->head.size()) std::abort();  // one head
    if (request->head.find("\r\nHost: " + request->target.authority() + "\r\n") == std::string::npos) std::abort();
    // What was made is a request that would be read the same way again.
    for (std::size_t at = request->head.find('\n'); at != std::string::npos; at = request->head.find('\n', at + 1))
        if (request->head[at - 1] != '\r') std::abort();
    return 0;
}
