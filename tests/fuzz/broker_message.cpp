// What a runner may send to the broker: any bytes. They are read, and checked against small grants; no effect happens.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/broker/file_operations.h"
#include "agent/broker/message.h"
#include "agent/broker/verdict.h"
#include "platform/base/result.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace mill;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static const protocol::Permissions grants = [] {
        protocol::Permissions made;
        made.network = {"https://*.example.com", "http://127.0.0.1:8080"};
        made.read = {"/srv/in"};
        made.write = {"/srv/out"};
        made.commands = {"/usr/bin/python3"};
        return made;
    }();
    const auto incoming = broker::parse_incoming(text);
    if (!incoming || !incoming->call) return 0;
    const Json& with = incoming->call->with;
    (void)broker::parse_read(with);
    (void)broker::parse_write(with);
    (void)broker::parse_list(with);
    const std::string& path = with["path"].as_string();
    for (const auto access : {broker::Access::read, broker::Access::write}) {
        const auto place = broker::may_reach(grants, path, access);
        if (!place) continue;
        check(place->name.find("..") == std::string::npos || place->name.find("/../") == std::string::npos, "a granted name does not climb");
        check(("/" + place->folder).find("/srv") != std::string::npos, "a granted place lies in its grant");
    }
    (void)broker::may_start(grants, path);
    if (const auto uri = platform::parse_uri(with["uri"].as_string()); uri && broker::may_connect(grants, *uri))
        (void)broker::admit_addresses(grants, *uri, {"127.0.0.1", "10.0.0.1", "::1"});
    return 0;
}
