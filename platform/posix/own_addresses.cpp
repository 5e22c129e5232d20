#include "platform/own_addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace mill::platform {

std::vector<std::string> own_addresses()
{
    std::vector<std::string> out;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return out;
    for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
        if (each->ifa_addr == nullptr) continue;
        char text[INET6_ADDRSTRLEN] = {};
        const void* address = nullptr;
        if (each->ifa_addr->sa_family == AF_INET) address = &reinterpret_cast<const sockaddr_in*>(each->ifa_addr)->sin_addr;
        else if (each->ifa_addr->sa_family == AF_INET6) address = &reinterpret_cast<const sockaddr_in6*>(each->ifa_addr)->sin6_addr;
        if (address != nullptr && ::inet_ntop(each->ifa_addr->sa_family, address, text, sizeof text) != nullptr) out.emplace_back(text);
    }
    ::freeifaddrs(list);
    return out;
}

}  // namespace mill::platform
