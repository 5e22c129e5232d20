#include <catch2/catch.hpp>

#include <string>

#include "platform/proxy_request.h"

using namespace mill;
using namespace mill::platform;

namespace {

Result<ProxyRequest> parsed(const std::string& head) { return parse_proxy_request(head + "\r\n\r\n"); }
std::string refusal(const std::string& head)
{
    const auto request = parsed(head);
    REQUIRE_FALSE(request);
    return request.error().what;
}

}  // namespace

TEST_CASE("a tunnel is asked for with host and port, and nothing else", "[platform][proxy]")
{
    const auto tunnel = parsed("CONNECT Tickets.example.com:8443 HTTP/1.1\r\nHost: other.example.com\r\nProxy-Authorization: Basic eDp5");
    REQUIRE(tunnel);
    CHECK(tunnel->tunnel);
    CHECK(tunnel->target.host == "tickets.example.com");
    CHECK(tunnel->target.port == 8443);
    CHECK(tunnel->head.empty());
    CHECK(parsed("CONNECT [::1]:443 HTTP/1.1")->target.host == "::1");
    CHECK(parsed("CONNECT 1.2.3.4:443 HTTP/1.0")->target.host == "1.2.3.4");
    for (const char* target : {"a.example", "a.example:", "a.example:0", "a.example:70000", "a.example:44x", "https://a.example:443", "u@a.example:443", "a.example:443/x", "a.example:443?x",
                               "::1:443", "[::1]", "[::1:443", "a b:443", "*", "a.example:443#x", "a%2eexample:443"}) {
        INFO(target);
        const auto request = parsed(std::string("CONNECT ") + target + " HTTP/1.1");
        REQUIRE_FALSE(request);
        CHECK(request.error().code == Errc::invalid);
    }
}

TEST_CASE("a plain request goes on in origin form, with the target's own host and none of what is the proxy's", "[platform][proxy]")
{
    const auto request = parsed("POST http://Shop.example.com:8080/a/b?c=d HTTP/1.1\r\nHost: evil.example.com\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nProxy-Connection: x\r\n"
                                "Proxy-Authorization: Basic eDp5\r\nContent-Length: 7\r\nX-Kept: yes\r\nUpgrade: h2c\r\nTE: trailers");
    REQUIRE(request);
    CHECK_FALSE(request->tunnel);
    CHECK(request->body == 7);
    CHECK(request->target.host == "shop.example.com");
    CHECK(request->target.port == 8080);
    CHECK(request->head == "POST /a/b?c=d HTTP/1.1\r\nHost: shop.example.com:8080\r\nX-Kept: yes\r\nContent-Length: 7\r\nConnection: close\r\n\r\n");
    CHECK(parsed("GET http://a.example HTTP/1.0")->head == "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
}

TEST_CASE("what may be understood in two ways is not passed on", "[platform][proxy]")
{
    CHECK(parsed("POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked").error().code == Errc::conflict);
    for (const char* head : {"POST http://a.example/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", "POST http://a.example/ HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
                             "POST http://a.example/ HTTP/1.1\r\nContent-Length: -1", "POST http://a.example/ HTTP/1.1\r\nContent-Length: 99999999999999999999",
                             "GET http://a.example/ HTTP/1.1\r\nA b: c", "GET http://a.example/ HTTP/1.1\r\n: c", "GET http://a.example/ HTTP/2.0", "GET http://a.example/", "GET  http://a.example/ HTTP/1.1",
                             "\x16\x03\x01\x02", "", "G\x01T http://a.example/ HTTP/1.1"}) {
        INFO(head);
        CHECK_FALSE(parsed(head));
    }
    CHECK_THAT(refusal("GET /index.html HTTP/1.1\r\nHost: a.example"), Catch::Contains("http://"));
    CHECK_THAT(refusal("GET https://a.example/ HTTP/1.1"), Catch::Contains("CONNECT"));
    CHECK_THAT(refusal("GET http://u:p@a.example/ HTTP/1.1"), Catch::Contains("password"));
    CHECK_THAT(refusal("TRACE http://a.example/ HTTP/1.1"), Catch::Contains("TRACE"));
}

TEST_CASE("a head has a bound, and is read once it is whole", "[platform][proxy]")
{
    CHECK(end_of_head("GET / HTTP/1.1\r\n") == 0);
    CHECK(end_of_head("GET / HTTP/1.1\r\n\r\nbody") == 18);
    const std::string longest = "GET http://a.example/ HTTP/1.1\r\nA: " + std::string(ProxyRequest::kMaxHead, 'x') + "\r\n\r\n";
    CHECK(end_of_head(longest) == 0);
    CHECK(parse_proxy_request(longest).error().code == Errc::too_large);
    CHECK_FALSE(parse_proxy_request("GET http://a.example/ HTTP/1.1\r\n"));
}
