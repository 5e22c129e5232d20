// What policy.yaml says of the person, and permissions as that person reads them.
#include <cstdlib>
#include <ctime>

#include <catch2/catch.hpp>

#include "agent/person/does.h"
#include "agent/policy.h"

using namespace mill;
using namespace mill::agent;

namespace {

struct Zone {
    Zone()
    {
        setenv("TZ", "Europe/Berlin", 1);
        tzset();
    }
    ~Zone()
    {
        unsetenv("TZ");
        tzset();
    }
};

WallTime at(const char* text) { return *parse_time(text); }

std::string mistake_in(const char* yaml)
{
    auto read = parse_policy(yaml, "policy.yaml");
    return read ? "" : read.error().what;
}

}  // namespace

TEST_CASE("quiet hours are those of the clock on the wall, over midnight too, and what follows without a gap is one", "[person]")
{
    const Zone zone;
    auto policy = parse_policy(R"(
quietHours:
  - { days: [ mon-fri ], from: "12:00", to: "13:00" }
  - { days: [ mon-fri ], from: "13:00", to: "13:30" }
  - { days: fri-sun, from: "22:00", to: "06:00" }
)",
                               "policy.yaml");
    REQUIRE(policy);
    const auto& quiet = policy->person.quiet;
    // 2026-11-27 is a Friday, an hour ahead of UTC.
    CHECK_FALSE(quiet_until(quiet, at("2026-11-27T10:59:59Z")));
    CHECK(quiet_until(quiet, at("2026-11-27T11:00:00Z")) == at("2026-11-27T12:30:00Z"));
    CHECK(quiet_until(quiet, at("2026-11-27T12:29:59Z")) == at("2026-11-27T12:30:00Z"));
    CHECK_FALSE(quiet_until(quiet, at("2026-11-27T12:30:00Z")));
    CHECK_FALSE(quiet_until(quiet, at("2026-11-28T11:30:00Z")));                                  // Saturday
    CHECK(quiet_until(quiet, at("2026-11-27T22:00:00Z")) == at("2026-11-28T05:00:00Z"));
    CHECK(quiet_until(quiet, at("2026-11-30T03:00:00Z")) == at("2026-11-30T05:00:00Z"));          // Sunday's, on Monday
    CHECK_FALSE(quiet_until(quiet, at("2026-11-27T04:00:00Z")));                                  // Thursday has none
    CHECK(words_of(quiet[0]) == "mon-fri 12:00-13:00");
    CHECK(words_of(policy->person) == "asked about, for 2m; not at all on mon-fri 12:00-13:00, mon-fri 13:00-13:30, fri-sun 22:00-06:00");
}

TEST_CASE("quiet all week is asked about again after some of it, and costs no endless loop", "[person]")
{
    auto policy = parse_policy("quietHours: [ { from: \"00:00\", to: \"24:00\" } ]", "policy.yaml");
    REQUIRE(policy);
    const WallTime now = at("2026-11-27T10:00:00Z");
    const auto until = quiet_until(policy->person.quiet, now);
    REQUIRE(until);
    CHECK(*until - now > std::chrono::hours(24));
    CHECK(*until - now < std::chrono::hours(24 * 20));
}

TEST_CASE("consent of policy.yaml", "[person]")
{
    CHECK(parse_policy("unsigned: true", "p")->person.jobs == PersonRules::Jobs::ask);
    CHECK(parse_policy("unsigned: true", "p")->person.within == Milliseconds(120'000));
    CHECK(parse_policy("consent: { jobs: never }", "p")->person.jobs == PersonRules::Jobs::never);
    CHECK(words_of(parse_policy("consent: { jobs: never }", "p")->person) == "refused while this agent is attended");
    CHECK(words_of(parse_policy("consent: { jobs: always, within: 30s }", "p")->person) == "started without asking");
    CHECK_THAT(mistake_in("consent: { within: 1s }"), Catch::Contains("must be from 5s to 1h"));
    CHECK_THAT(mistake_in("consent: { within: 2h }"), Catch::Contains("must be from 5s to 1h"));
    CHECK_THAT(mistake_in("consent: { jobs: perhaps }"), Catch::Contains("jobs"));
    CHECK_THAT(mistake_in("consent: { job: ask }"), Catch::Contains("job"));
    CHECK_THAT(mistake_in("quietHours: [ { days: [ monday ], from: \"12:00\", to: \"13:00\" } ]"), Catch::Contains("'monday' is no day"));
    CHECK_THAT(mistake_in("quietHours: [ { from: \"12:60\", to: \"13:00\" } ]"), Catch::Contains("'12:60' is no time"));
    CHECK_THAT(mistake_in("quietHours: [ { from: \"24:00\", to: \"13:00\" } ]"), Catch::Contains("'24:00' is no time"));
    CHECK_THAT(mistake_in("quietHours: [ { from: \"12:00\" } ]"), Catch::Contains("to"));
    CHECK_THAT(mistake_in("quietHours: [ { from: \"12:00\", to: \"12:00\" } ]"), Catch::Contains("whole day"));
    CHECK_THAT(mistake_in("quietHours: [ { from: \"12:00\", to: \"13:00\", on: fri } ]"), Catch::Contains("on"));
    CHECK_THAT(mistake_in("quietHours: { from: \"12:00\", to: \"13:00\" }"), Catch::Contains("quietHours"));
}

TEST_CASE("what policy.yaml is written with says the rules that hold", "[person]")
{
    REQUIRE(parse_policy(default_policy_text(), "p"));
    std::string text = default_policy_text();
    for (const char* line : {"# consent: ", "# quietHours: "}) {
        const std::size_t place = text.find(line);
        REQUIRE(place != std::string::npos);
        text.erase(place, 2);
    }
    auto policy = parse_policy(text, "p");
    REQUIRE(policy);
    CHECK(policy->person.jobs == PersonRules::Jobs::ask);
    CHECK(policy->person.quiet.size() == 1);
}

TEST_CASE("permissions in words, each with a code and a name for other languages, what changes things first", "[person]")
{
    protocol::Permissions granted;
    CHECK(does(granted).size() == 1);
    CHECK(does(granted)[0].code == "nothing");
    granted.read = {"/srv/exports"};
    granted.write = {"/srv/reports"};
    granted.network = {"https://tickets.example.com", "*"};
    granted.commands = {"/usr/bin/python3"};
    granted.credentials = {"erp-login", "mail"};
    granted.reveal = {"erp-login"};
    granted.system = {"usage"};
    const auto deeds = does(granted);
    std::vector<std::string> codes;
    for (const Deed& deed : deeds) codes.push_back(deed.code);
    CHECK(codes == std::vector<std::string>{"files_write", "network", "network", "command", "credential_shown", "credential", "files_read", "system"});
    CHECK(deeds[0].text == "reads, changes and makes files in /srv/reports");
    CHECK(deeds[1].text == "speaks to https://tickets.example.com");
    CHECK(deeds[2].text == "speaks to any server");
    CHECK(deeds[3].text == "starts the program /usr/bin/python3");
    CHECK_THAT(deeds[4].text, Catch::Contains("erp-login") && Catch::Contains("gives the password to a program"));
    CHECK(deeds[5].text == "signs in with mail");
    CHECK(deeds[6].text == "reads files in /srv/exports");
    CHECK(deeds[6].what == "/srv/exports");
    CHECK(to_json(deeds)[std::size_t{3}]["code"] == Json("command"));
}
