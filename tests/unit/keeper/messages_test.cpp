#include <catch2/catch.hpp>

#include "agent/keeper/messages.h"

using namespace mill;
using namespace mill::keeper;

TEST_CASE("words of any bytes are read back", "[keeper][messages]")
{
    for (const Words& words : {Words{}, Words{""}, Words{"start", std::string("a\0b", 3), std::string(100'000, 'x')}}) CHECK(*decode(encode(words)) == words);
}

TEST_CASE("damaged words are corrupt, never a crash", "[keeper][messages]")
{
    const std::string good = encode(Words{"start", "key"});
    for (std::size_t cut = 0; cut < good.size(); ++cut) CHECK(decode(good.substr(0, cut)).error().code == Errc::corrupt);
    CHECK(decode(good + "x").error().code == Errc::corrupt);
    CHECK(decode(std::string("\xff\xff\xff\xff", 4)).error().code == Errc::corrupt);
    CHECK(decode(std::string("\1\0\0\0\xff\xff\xff\xff", 8)).error().code == Errc::corrupt);
}

TEST_CASE("a request for a sandbox is read back with all of its members", "[keeper][messages]")
{
    const SandboxRequest request{"/p.mwp", {"/a", "/b"}, {"/c"}, true, 1, 2, 3, 4, 5, true, true, "mw-sales"};
    const auto read = decode_request(encode(request));
    REQUIRE(read);
    CHECK(encode(*read) == encode(request));
    CHECK(read->read == request.read);
    CHECK(read->write == request.write);
    CHECK(read->output == 5);
    CHECK(read->bridge);
    CHECK(decode_request(encode(Words{"/p", "1", "1", "0", "x", "2", "3", "4", "5", "0"})).error().code == Errc::corrupt);
    CHECK(decode_request(encode(Words{"/p", "1", "0", "1", "1", "2", "3", "4", "5", "7"})).error().code == Errc::corrupt);
}
