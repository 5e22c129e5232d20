// Reads what arrives on the wire; what is taken must be written and read back as the same.
#include <cstdint>
#include <string_view>

#include "protocol/event.h"
#include "protocol/offer.h"
#include "protocol/token.h"

using namespace mill;
using namespace mill::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto id = AttemptId::from_key(text)) check(id->key() == text, "an attempt's key changed");
    if (const auto token = parse_token(text)) check(token->text == text, "a token changed");
    const auto json = parse_json(text);
    if (!json) return 0;
    if (const auto event = parse_event(*json)) {
        const auto again = parse_event(to_json(*event));
        check(again && to_json(*again) == to_json(*event), "an event changed");
    }
    if (const auto offer = parse_offer(*json)) {
        const auto again = parse_offer(to_json(*offer));
        check(again && to_json(*again) == to_json(*offer), "an offer changed");
    }
    if (const auto permissions = parse_permissions(*json, "fuzz")) {
        const auto again = parse_permissions(to_json(*permissions), "fuzz");
        check(again && to_json(*again) == to_json(*permissions), "permissions changed");
        check(missing(*permissions, *permissions).empty(), "permissions do not cover themselves");
        check(missing(intersect(*permissions, {}), *permissions).empty(), "an intersection is more than its part");
    }
    return 0;
}
