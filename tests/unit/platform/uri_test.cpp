#include <catch2/catch.hpp>

#include <cstdlib>

#include "platform/http_client.h"

using namespace mill;
using namespace mill::platform;

TEST_CASE("a URI is taken apart, with what its scheme implies", "[platform][uri]")
{
    const auto uri = parse_uri("HTTPS://Tickets.Example.com/orders/7?x=1&y");
    REQUIRE(uri);
    CHECK(uri->scheme == "https");
    CHECK(uri->host == "tickets.example.com");
    CHECK(uri->port == 443);
    CHECK(uri->path == "/orders/7");
    CHECK(uri->query == "x=1&y");
    CHECK(uri->authority() == "tickets.example.com");
    CHECK(parse_uri("http://[::1]:8080")->authority() == "[::1]:8080");
    CHECK(parse_uri("http://a?q")->path == "/");
    CHECK(parse_uri("http://a?q")->query == "q");
}

TEST_CASE("what could be read in two ways is refused", "[platform][uri]")
{
    for (const char* text : {"", "example.com", "/path", "ftp://a", "http://", "http:///x", "http://a:0", "http://a:65536", "http://a:x", "http://u:p@a", "http://a/#f",
                             "http://a b", "http://a/\n", "http://a\\@b", "http://[::1", "http://[1.2.3.4]", "http://[::1]x", "http://..", "http://-a", "http://a:80:90", "file:///etc/passwd"}) {
        INFO(text);
        REQUIRE_FALSE(parse_uri(text));
        CHECK(parse_uri(text).error().code == Errc::invalid);
    }
}

TEST_CASE("addresses inside of the house are known in all their spellings", "[platform][uri]")
{
    for (const char* text : {"127.0.0.1", "127.255.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
                             "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
                             "64:ff9b::7f00:1", "2002:7f00:1::", "2002:0a00:1::", "fec0::1", "168.63.129.16", "2001:0:7f00:1::1", "not an address", ""})
    {
        INFO(text);
        CHECK(is_private_address(text));
    }
    for (const char* text : {"1.1.1.1", "172.32.0.1", "11.0.0.1", "169.253.1.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "2002:0101:0101::"}) {
        INFO(text);
        CHECK_FALSE(is_private_address(text));
    }
}

TEST_CASE("an address leads as far as its range says", "[platform][uri]")
{
    CHECK(reach_of("1.1.1.1") == Reach::open);
    CHECK(reach_of("10.0.0.1") == Reach::inside);
    CHECK(reach_of("fd00::1") == Reach::inside);
    CHECK(reach_of("169.254.169.254") == Reach::near);
    CHECK(reach_of("fe80::1%2") == Reach::near);
    CHECK(reach_of("::ffff:127.0.0.1") == Reach::here);
    CHECK(reach_of("127.0.0.1\n") == Reach::here);
}

TEST_CASE("a literal address resolves to itself, a name that is none is unavailable", "[platform][uri]")
{
    CHECK(*resolve("127.0.0.1") == std::vector<std::string>{"127.0.0.1"});
    CHECK(*resolve("[::1]") == std::vector<std::string>{"::1"});
    CHECK(resolve("no-such-host.invalid").error().code == Errc::unavailable);
}

TEST_CASE("the proxy comes from the environment and heeds no_proxy", "[platform][uri]")
{
    for (const char* name : {"https_proxy", "HTTPS_PROXY", "http_proxy", "no_proxy", "NO_PROXY"}) unsetenv(name);
    CHECK(proxy_for("http://a.example").empty());
    setenv("http_proxy", "proxy.example:3128", 1);
    setenv("https_proxy", "http://u:p@proxy.example:3129", 1);
    setenv("no_proxy", "localhost, .inner.example,10.0.0.1:80", 1);
    CHECK(proxy_for("http://a.example") == "http://proxy.example:3128");
    CHECK(proxy_for("https://a.example") == "http://u:p@proxy.example:3129");
    CHECK(proxy_for("http://localhost:8080").empty());
    CHECK(proxy_for("http://a.inner.example").empty());
    CHECK(proxy_for("http://inner.example").empty());
    CHECK(proxy_for("http://10.0.0.1").empty());
    CHECK_FALSE(proxy_for("http://notinner.example").empty());
    for (const char* name : {"https_proxy", "http_proxy", "no_proxy"}) unsetenv(name);
}
