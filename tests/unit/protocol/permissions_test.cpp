#include <catch2/catch.hpp>

#include "protocol/permissions.h"

using namespace mill;
using namespace mill::protocol;

namespace {

Permissions read(const char* text)
{
    const auto out = parse_permissions(*parse_json(text), "permissions");
    INFO((out ? std::string() : out.error().what));
    REQUIRE(out);
    return *out;
}

std::string wrong(const char* text)
{
    const auto out = parse_permissions(*parse_json(text), "package.yaml");
    REQUIRE_FALSE(out);
    CHECK(out.error().code == Errc::invalid);
    return out.error().what;
}

}  // namespace

TEST_CASE("all mistakes in permissions are named at once", "[protocol][permissions]")
{
    const std::string what = wrong(R"({"netwrok":[],"network":["example.com","https://u@h"],"files":{"read":["srv","/a/../b"],"exec":[]},
        "commands":["./x"],"limits":{"memory":"much","processes":0},"desktop":{}})");
    for (const char* part : {"netwrok", "example.com", "https://u@h", "'srv' is not an absolute", "/a/../b", "exec", "./x", "much", "processes", "desktop", "package.yaml"})
        CHECK_THAT(what, Catch::Contains(part));
}

TEST_CASE("a network rule admits just its scheme, host and port", "[protocol][permissions]")
{
    const std::vector<std::string> rules{"https://tickets.example.com", "smtp.example.com:587", "https://*.wild.example", "http://127.0.0.1:*", "http://[::1]:80"};
    CHECK(admits_network(rules, "https", "Tickets.Example.com", 443));
    CHECK_FALSE(admits_network(rules, "https", "tickets.example.com", 8443));
    CHECK_FALSE(admits_network(rules, "http", "tickets.example.com", 443));
    CHECK_FALSE(admits_network(rules, "https", "tickets.example.com.evil.org", 443));
    CHECK(admits_network(rules, "smtp", "smtp.example.com", 587));
    CHECK(admits_network(rules, "https", "a.wild.example", 443));
    CHECK(admits_network(rules, "https", "a.b.wild.example", 443));
    CHECK_FALSE(admits_network(rules, "https", "wild.example", 443));
    CHECK_FALSE(admits_network(rules, "https", "evilwild.example", 443));
    CHECK(admits_network(rules, "http", "127.0.0.1", 12345));
    CHECK(admits_network(rules, "http", "[::1]", 80));
    CHECK_FALSE(admits_network({}, "http", "127.0.0.1", 80));
}

TEST_CASE("what is asked for beyond the grant is listed item by item", "[protocol][permissions]")
{
    const Permissions asked = read(R"({"network":["https://a.x.example","https://b.example"],"files":{"read":["/srv/in/a","/etc"],"write":["/srv/out"]},
        "commands":["/bin/sh"],"credentials":["erp"],"system":["usage"],"limits":{"memory":"512MiB","time":"5m"}})");
    const Permissions granted = read(R"({"network":["https://*.x.example"],"files":{"read":["/srv/in"],"write":["/srv/outer"]}})");
    CHECK(missing(asked, granted) == std::vector<std::string>{"network https://b.example", "files.read /etc", "files.write /srv/out", "commands /bin/sh",
                                                              "credentials erp", "system usage", "limits.memory 512MiB"});
    CHECK(missing(asked, asked).empty());
    CHECK(missing(Permissions{}, granted).empty());
}

TEST_CASE("writing grants reading, reading does not grant writing", "[protocol][permissions]")
{
    const Permissions granted = read(R"({"files":{"write":["/srv/x"]}})");
    CHECK(missing(read(R"({"files":{"read":["/srv/x/y"]}})"), granted).empty());
    CHECK_FALSE(missing(granted, read(R"({"files":{"read":["/srv/x"]}})")).empty());
}

TEST_CASE("a folder covers what is below it and nothing beside it", "[protocol][permissions]")
{
    CHECK(covers_path({"/srv/a"}, "/srv/a"));
    CHECK(covers_path({"/srv/a/"}, "/srv/a/b//c"));
    CHECK(covers_path({"/"}, "/etc/shadow"));
    CHECK_FALSE(covers_path({"/srv/a"}, "/srv/ab"));
    CHECK_FALSE(covers_path({"/srv/a"}, "/srv/a/../b"));
    CHECK_FALSE(covers_path({"/srv/a"}, "srv/a"));
    CHECK_FALSE(covers_path({}, "/"));
}

TEST_CASE("the idle limit: none is none, and of two the shorter holds", "[protocol][permissions]")
{
    const auto with = [](const char* limits) { return parse_permissions(*parse_json(limits), "p").value(); };
    const Permissions none = with("{}"), five = with(R"({"limits":{"idle":"5m"}})"), one = with(R"({"limits":{"idle":"1m"}})");
    CHECK(none.limits.idle.count() == 0);
    CHECK(to_json(five)["limits"]["idle"].as_string() == "5m");
    CHECK_FALSE(five.limits.stated);   // it needs no control group
    CHECK(intersect(none, none).limits.idle.count() == 0);
    CHECK(intersect(none, five).limits.idle == five.limits.idle);
    CHECK(intersect(five, none).limits.idle == five.limits.idle);
    CHECK(intersect(five, one).limits.idle == one.limits.idle);
    CHECK(intersect(one, five).limits.idle == one.limits.idle);
}

TEST_CASE("an intersection keeps what the cap covers and the smaller limits", "[protocol][permissions]")
{
    const Permissions out = intersect(read(R"({"network":["https://a.example","https://b.example"],"limits":{"memory":"1GiB"}})"),
                                      read(R"({"network":["https://a.example"],"limits":{"memory":"128MiB","processes":4}})"));
    CHECK(out.network == std::vector<std::string>{"https://a.example"});
    CHECK(out.limits.memory == mebibytes(128));
    CHECK(out.limits.processes == 4);
    CHECK(out.limits.stated);
}

TEST_CASE("permissions are written as they are read", "[protocol][permissions]")
{
    const Permissions permissions = read(R"({"network":["*"],"files":{"read":["/a"]},"limits":{"memory":"64MiB","cpu":"90s"}})");
    const Json json = to_json(permissions);
    CHECK(to_json(read(dump_json(json).c_str())) == json);
    CHECK(to_json(Permissions{}) == Json::object());
}

TEST_CASE("a time limit alone asks nothing of the machine, but is still compared", "[protocol][permissions]")
{
    const Permissions asked = read(R"({"limits":{"time":"20m"}})");
    CHECK_FALSE(asked.limits.stated);
    CHECK(missing(asked, Permissions{}) == std::vector<std::string>{"limits.time 20m"});
    CHECK(to_json(asked) == *parse_json(R"({"limits":{"time":"20m"}})"));
}

TEST_CASE("revealing is a grant of its own, and only of a credential that may be used", "[protocol][permissions]")
{
    const auto of = [](const char* text) {
        auto read = parse_permissions(*parse_json(text), "permissions");
        REQUIRE(read);
        return *read;
    };
    const Permissions asked = of(R"({"credentials":["erp","crm"],"reveal":["erp"]})");
    CHECK(missing(asked, of(R"({"credentials":["erp","crm"]})")) == std::vector<std::string>{"reveal erp"});
    CHECK(missing(asked, of(R"({"credentials":["erp","crm"],"reveal":["crm"]})")) == std::vector<std::string>{"reveal erp"});
    CHECK(missing(asked, of(R"({"credentials":["*"],"reveal":["*"]})")).empty());
    CHECK(intersect(asked, of(R"({"credentials":["erp","crm"]})")).reveal.empty());
    CHECK(intersect(asked, of(R"({"credentials":["crm"],"reveal":["crm"]})")).reveal.empty());
    CHECK(intersect(asked, of(R"({"credentials":["*"],"reveal":["*"]})")).reveal == std::vector<std::string>{"erp"});
    CHECK(to_json(asked)["reveal"] == Json::array({"erp"}));
    const auto alone = parse_permissions(*parse_json(R"({"credentials":["crm"],"reveal":["erp"]})"), "permissions");
    REQUIRE_FALSE(alone);
    CHECK_THAT(alone.error().what, Catch::Contains("reveal") && Catch::Contains("'erp'") && Catch::Contains("credentials: [ erp ]"));
}
