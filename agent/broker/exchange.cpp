#include "agent/broker/exchange.h"

#include <algorithm>
#include <cctype>

#include "agent/broker/verdict.h"
#include "platform/base/text.h"

namespace mill::broker {
namespace {

EffectError transport_error(const Error& error)
{
    EffectError out = effect_error(error, "No answer");
    if (error.code == Errc::unavailable) out.type = "communication";
    if (error.code == Errc::timeout) out.title = "No answer in time";
    if (error.code == Errc::denied) out = {"communication", 502, "TLS refused", error.what};
    if (error.code == Errc::too_large) out = {"communication", 502, "Answer too large", error.what};
    if (error.code == Errc::corrupt) out = {"communication", 502, "Answer not understood", error.what};
    return out;
}

}  // namespace

bool is_header_value(std::string_view text)
{
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7F); });
}

Outcome<void> set_header(platform::HttpRequest& request, std::string_view name, std::string value)
{
    if (!is_header_value(value)) return refuse("configuration", 400, "Bad authentication", "the credential holds control characters");
    const std::string wanted = lower_case(name);
    std::erase_if(request.headers, [&](const auto& item) { return lower_case(item.first) == wanted; });
    request.headers.emplace_back(name, std::move(value));
    return {};
}

Outcome<platform::HttpResponse> exchange(const Asked& asked, EffectContext& context)
{
    const auto& permissions = context.grants.permissions;
    if (auto allowed = may_connect(permissions, asked.uri); !allowed) return tl::unexpected(allowed.error());
    auto resolved = platform::resolve(asked.uri.host);
    if (!resolved) return refuse("communication", 503, "Host not found", resolved.error().what);
    auto addresses = admit_addresses(permissions, asked.uri, *resolved);
    if (!addresses) return tl::unexpected(addresses.error());
    // Servers on this machine are on IPv4 more often than not, and "localhost" names both.
    std::stable_partition(addresses->begin(), addresses->end(), [](const std::string& address) { return address.starts_with("127."); });
    platform::HttpRequest request = asked.request;
    request.timeout = context.left();
    // Idempotent by RFC 9110: only these may go out again on a connection that died.
    for (std::string_view method : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
        if (request.method == method) request.repeatable = true;
    auto response = context.clients.client(asked.uri, *addresses)->send(request, context.stop);
    if (!response) return tl::unexpected(transport_error(response.error()));
    return std::move(*response);
}

}  // namespace mill::broker
