#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "agent/broker/verdict.h"

using namespace mill;
using broker::Access;
using protocol::Permissions;

namespace {

Permissions network(std::vector<std::string> rules)
{
    Permissions grants;
    grants.network = std::move(rules);
    return grants;
}

platform::Uri uri(std::string scheme, std::string host, std::uint16_t port)
{
    platform::Uri out;
    out.scheme = std::move(scheme);
    out.host = std::move(host);
    out.path = "/";
    out.port = port;
    return out;
}

}  // namespace

TEST_CASE("a connection needs its scheme, host and port granted", "[broker][verdict]")
{
    const Permissions grants = network({"https://tickets.example.com", "smtp.example.com:587", "https://*.shop.example.com"});
    CHECK(broker::may_connect(grants, uri("https", "tickets.example.com", 443)));
    CHECK(broker::may_connect(grants, uri("https", "eu.shop.example.com", 443)));
    for (const auto& wrong : {uri("http", "tickets.example.com", 80), uri("https", "tickets.example.com", 8443), uri("https", "example.com", 443),
                              uri("https", "shop.example.com", 443), uri("https", "tickets.example.com.evil.org", 443),
                              uri("https", "evilshop.example.com", 443)}) {
        CAPTURE(wrong.scheme, wrong.host, wrong.port);
        CHECK_FALSE(broker::may_connect(grants, wrong));
    }
}

TEST_CASE("a refusal is authorization 403 and prints the line that would allow it", "[broker][verdict]")
{
    const auto network_verdict = broker::may_connect({}, uri("https", "tickets.example.com", 443));
    REQUIRE_FALSE(network_verdict);
    CHECK(network_verdict.error().type == "authorization");
    CHECK(network_verdict.error().status == 403);
    CHECK_THAT(network_verdict.error().detail, Catch::Contains("permissions: { network: [ \"https://tickets.example.com\" ] }"));
    CHECK_THAT(broker::may_reach({}, "/srv/reports/x", Access::write).error().detail, Catch::Contains("permissions: { files: { write: [ \"/srv/reports/x\" ] } }"));
    CHECK_THAT(broker::may_start({}, "python3").error().detail, Catch::Contains("permissions: { commands: [ \"python3\" ] }"));
    CHECK_THAT(broker::may_see_usage({}).error().detail, Catch::Contains("permissions: { system: [ usage ] }"));
    Permissions other;
    other.credentials = {"crm", "erp-2"};
    CHECK(broker::may_use_credential(other, "erp").error().status == 403);
    CHECK(broker::may_use_credential(other, "").error().status == 403);
    CHECK(broker::may_use_credential(other, "erp-2"));
    CHECK_THAT(broker::may_use_credential({}, "erp").error().detail, Catch::Contains("permissions: { credentials: [ \"erp\" ] }"));
}

TEST_CASE("a granted name that resolves to this machine is refused unless the address itself is granted", "[broker][verdict]")
{
    const auto rebound = uri("https", "tickets.example.com", 443);
    const Permissions named = network({"https://tickets.example.com"});
    for (const char* near : {"127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "::ffff:127.0.0.1", "fe80::1"}) {
        CAPTURE(near);
        const auto verdict = broker::admit_addresses(named, rebound, {near});
        REQUIRE_FALSE(verdict);
        CHECK(verdict.error().status == 403);
    }
    CHECK(broker::admit_addresses(network({"http://127.0.0.1:8080"}), uri("http", "127.0.0.1", 8080), {"127.0.0.1"}) == std::vector<std::string>{"127.0.0.1"});
    CHECK(broker::admit_addresses(network({"http://localhost:*"}), uri("http", "localhost", 8080), {"::1", "127.0.0.1"}) == std::vector<std::string>{"::1", "127.0.0.1"});
    CHECK(broker::admit_addresses(network({"http://[::1]:8080"}), uri("http", "::1", 8080), {"::1"}) == std::vector<std::string>{"::1"});
    CHECK(broker::admit_addresses(network({"http://127.0.0.1:8080"}), uri("http", "localhost", 8080), {"127.0.0.1"}) == std::vector<std::string>{"127.0.0.1"});
    CHECK_FALSE(broker::admit_addresses(network({"http://127.0.0.1:8080"}), uri("http", "127.0.0.1", 9090), {"127.0.0.1"}));
}

TEST_CASE("no spelling of a near address is reached by a granted name", "[broker][verdict]")
{
    const Permissions named = network({"https://tickets.example.com"});
    for (const char* near : {"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
                             "100.100.100.200", "168.63.129.16", "192.0.0.192",                                     // metadata services
                             "::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254",
                             "::ffff:127.0.0.1", "::FFFF:7f00:1", "0:0:0:0:0:ffff:a9fe:a9fe", "::ffff:168.63.129.16",   // mapped
                             "::127.0.0.1", "::a9fe:a9fe",                                                         // compatible
                             "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::169.254.169.254", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:7f:0:1::",
                             "2002:7f00:1::", "2002:a9fe:a9fe::1",                                                 // 6to4
                             "2001:0:a9fe:a9fe::1", "2001:0:101:101:0:0:5601:5601",                                // Teredo: by its server, by its client
                             "0177.0.0.1", "0x7f000001", "2130706433", "127.1", "127.0.0.1.", "::ffff:0x7f000001", "localhost", "not an address", ""}) {
        CAPTURE(near);
        const auto verdict = broker::admit_addresses(named, uri("https", "tickets.example.com", 443), {near});
        REQUIRE_FALSE(verdict);
        CHECK(verdict.error().status == 403);
    }
    for (const char* inside : {"10.0.0.5", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.5", "64:ff9b::10.0.0.5", "64:ff9b:1::10.0.0.5", "2002:a00:5::", "2001:0:101:101:0:0:f5ff:fffa"}) {
        CAPTURE(inside);
        CHECK(broker::admit_addresses(named, uri("https", "tickets.example.com", 443), {inside}));
        CHECK_FALSE(broker::admit_addresses(network({"https://*.example.com"}), uri("https", "tickets.example.com", 443), {inside}));
    }
    for (const char* open : {"1.1.1.1", "100.128.0.1", "223.255.255.255", "168.63.129.17", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::", "2001:0:101:101:0:0:fefe:fefe", "2001:db8::1", "fe00::1"}) {
        CAPTURE(open);
        CHECK(broker::admit_addresses(network({"https://*.example.com"}), uri("https", "tickets.example.com", 443), {open}));
    }
}

TEST_CASE("a host that spells an address in another way is judged by what it resolves to", "[broker][verdict]")
{
    for (const char* host : {"0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "127.1", "localhost.", "2852039166", "0251.0376.0251.0376"}) {
        CAPTURE(host);
        const auto addresses = platform::resolve(host);
        if (!addresses) continue;  // not every resolver takes every spelling
        CHECK_FALSE(broker::admit_addresses(network({std::string("http://") + host}), uri("http", host, 80), *addresses));
        CHECK_FALSE(broker::admit_addresses(network({"*"}), uri("http", host, 80), *addresses));
    }
    CHECK(platform::resolve("2130706433") == std::vector<std::string>{"127.0.0.1"});
    CHECK_FALSE(broker::may_connect(network({"https://tickets.example.com"}), uri("https", "tickets.example.com.", 443)));
    CHECK_FALSE(broker::may_connect(network({"http://127.0.0.1"}), uri("http", "0177.0.0.1", 80)));
}

TEST_CASE("a metadata service is reached when its address is granted, and localhost is this machine only", "[broker][verdict]")
{
    CHECK(broker::admit_addresses(network({"http://169.254.169.254"}), uri("http", "169.254.169.254", 80), {"169.254.169.254"}));
    CHECK(broker::admit_addresses(network({"http://[fd00:ec2::254]"}), uri("http", "fd00:ec2::254", 80), {"fd00:ec2::254"}));
    CHECK_FALSE(broker::admit_addresses(network({"http://localhost"}), uri("http", "localhost", 80), {"169.254.169.254"}));
    CHECK(broker::admit_addresses(network({"http://localhost"}), uri("http", "localhost", 80), {"127.0.0.53"}));
}

TEST_CASE("a private address needs a grant that names the host, a wildcard is not enough", "[broker][verdict]")
{
    const auto intranet = uri("https", "erp.example.com", 443);
    CHECK(broker::admit_addresses(network({"https://erp.example.com"}), intranet, {"10.0.0.5"}) == std::vector<std::string>{"10.0.0.5"});
    CHECK_FALSE(broker::admit_addresses(network({"https://*.example.com"}), intranet, {"10.0.0.5"}));
    CHECK_FALSE(broker::admit_addresses(network({"*"}), intranet, {"192.168.1.1"}));
    CHECK(broker::admit_addresses(network({"https://*.example.com"}), intranet, {"10.0.0.5", "203.0.113.9"}) == std::vector<std::string>{"203.0.113.9"});
    CHECK(broker::admit_addresses(network({"https://*.example.com"}), intranet, {}).error().type == "communication");
}

TEST_CASE("a path lies in a granted folder, part by part", "[broker][verdict]")
{
    Permissions grants;
    grants.read = {"/srv/exports"};
    grants.write = {"/srv/reports"};
    const auto place = broker::may_reach(grants, "/srv/exports/2026/a.csv", Access::read);
    REQUIRE(place);
    CHECK(place->folder == "/srv/exports");
    CHECK(place->name == "2026/a.csv");
    CHECK(broker::may_reach(grants, "/srv/reports/x", Access::write));
    CHECK(broker::may_reach(grants, "/srv/reports/x", Access::read));
    CHECK_FALSE(broker::may_reach(grants, "/srv/exports/x", Access::write));
    CHECK_FALSE(broker::may_reach(grants, "/srv/exports2/x", Access::read));
    CHECK_FALSE(broker::may_reach(grants, "/srv", Access::read));
    CHECK_FALSE(broker::may_reach(grants, "/", Access::read));
    CHECK(broker::may_reach(grants, "//srv//exports//a", Access::read)->name == "a");
}

TEST_CASE("a grant may be one file", "[broker][verdict]")
{
    Permissions grants;
    grants.read = {"/srv/exports/today.csv"};
    const auto place = broker::may_reach(grants, "/srv/exports/today.csv", Access::read);
    REQUIRE(place);
    CHECK(place->folder == "/srv/exports");
    CHECK(place->name == "today.csv");
    CHECK_FALSE(broker::may_reach(grants, "/srv/exports/other.csv", Access::read));
}

TEST_CASE("paths that climb, lie, or are the system's own are refused whatever is granted", "[broker][verdict]")
{
    Permissions grants;
    grants.read = {"/"};
    grants.write = {"/"};
    const std::string path = GENERATE(as<std::string>(), "", "srv/x", "/srv/../etc/shadow", "/srv/./x", "/..", std::string("/srv/x\0/etc", 11),
                                      "/proc/self/fd/3", "/proc", "//proc//self/environ", "/sys/power/state", "/dev/mem", "/" + std::string(5000, 'x'));
    CAPTURE(path);
    for (const Access access : {Access::read, Access::write}) {
        const auto place = broker::may_reach(grants, path, access);
        REQUIRE_FALSE(place);
        const bool own = path.find("/proc") == 0 || path.find("//proc") == 0 || path.find("/sys") == 0 || path.find("/dev") == 0;
        CHECK(place.error().status == (own ? 403 : 400));  // by its shape, not because nothing covers it
    }
}

TEST_CASE("a command is granted by path or by bare name", "[broker][verdict]")
{
    Permissions grants;
    grants.commands = {"sh"};
    const auto by_name = broker::may_start(grants, "sh");
    REQUIRE(by_name);
    CHECK(by_name->front() == '/');
    CHECK(broker::may_start(grants, "/bin/sh") == *by_name);
    CHECK(broker::may_start(grants, "/usr/bin/env").error().status == 403);
    grants.commands = {"/usr/bin/env"};
    CHECK(broker::may_start(grants, "env") == "/usr/bin/env");
    CHECK_FALSE(broker::may_start(grants, "sh"));
    grants.commands = {"no-such-program-here"};
    CHECK(broker::may_start(grants, "no-such-program-here").error().status == 404);
    for (const char* bad : {"", ".", "..", "bin/sh", "/bin/../bin/sh", "/bin/", "/"}) CHECK_FALSE(broker::may_start(grants, bad));
}
