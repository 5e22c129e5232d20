#include "factory/http/address.h"

#include <charconv>

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>

namespace mill::factory {
namespace {

template <class Bytes>
std::string text_of(const Bytes& bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool bit_of(std::string_view bytes, unsigned index) { return (static_cast<unsigned char>(bytes[index / 8]) >> (7 - index % 8) & 1) != 0; }

}  // namespace

Result<std::string> parse_address(std::string_view text)
{
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(std::string(text.substr(0, 60)), error);
    if (error || text.size() > 60) return fail(Errc::invalid, fmt::format("'{}' is no IP address", text.substr(0, 60)));
    if (address.is_v4()) return text_of(address.to_v4().to_bytes());
    const auto v6 = address.to_v6();
    if (v6.is_v4_mapped()) return text_of(boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, v6).to_bytes());
    return text_of(v6.to_bytes());
}

Result<Network> parse_network(std::string_view text)
{
    const auto slash = text.find('/');
    auto address = parse_address(text.substr(0, slash));
    if (!address) return fail(Errc::invalid, fmt::format("'{}' is no address or network such as 192.0.2.0/24 or 2001:db8::/32", text.substr(0, 100)));
    Network out{*address, static_cast<unsigned>(address->size() * 8)};
    if (slash == std::string_view::npos) return out;
    const auto digits = text.substr(slash + 1);
    unsigned bits = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc() || end != digits.data() + digits.size() || bits > out.bits)
        return fail(Errc::invalid, fmt::format("'{}': behind the '/' stands a number from 0 to {}", text.substr(0, 100), out.bits));
    for (unsigned index = bits; index < out.bits; ++index)
        if (bit_of(out.address, index)) return fail(Errc::invalid, fmt::format("'{}' has bits set behind its first {}: is a single address meant, or a wider network?", text.substr(0, 100), bits));
    out.bits = bits;
    return out;
}

bool Network::has(std::string_view address_bytes) const
{
    if (address_bytes.size() != address.size()) return false;
    for (unsigned index = 0; index < bits; ++index)
        if (bit_of(address_bytes, index) != bit_of(address, index)) return false;
    return true;
}

}  // namespace mill::factory
