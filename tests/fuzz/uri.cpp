// Takes URIs apart; what is taken must mean the same when it is put together again.
#include <cstdint>
#include <string_view>

#include "platform/http_client.h"

using namespace mill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)platform::is_private_address(text);
    const auto uri = platform::parse_uri(text);
    if (!uri) return 0;
    const std::string whole = uri->scheme + "://" + uri->authority() + uri->path + (uri->query.empty() ? "" : "?" + uri->query);
    const auto again = platform::parse_uri(whole);
    check(again && again->host == uri->host && again->port == uri->port && again->path == uri->path && again->query == uri->query, "a URI changed");
    return 0;
}
