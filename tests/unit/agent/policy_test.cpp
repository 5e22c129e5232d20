#include "agent/policy.h"
#include "platform/base/text.h"
#include "platform/base/yaml.h"

#include <catch2/catch.hpp>

#include "agent/config.h"
#include "platform/base/encode.h"
#include "platform/crypto.h"
#include "protocol/canary.h"

using namespace mill;

namespace {

protocol::Offer offer_of(const std::string& name)
{
    protocol::Offer offer;
    offer.package_name = name;
    offer.package_version = "1.0.0";
    return offer;
}

}  // namespace

TEST_CASE("without a policy file unsigned packages are refused, and the error says what would allow them", "[policy]")
{
    const auto verdict = agent::Policy{}.admit(offer_of("order-status"));
    REQUIRE_FALSE(verdict);
    CHECK(verdict.error().code == Errc::denied);
    CHECK_THAT(verdict.error().what, Catch::Contains("order-status 1.0.0") && Catch::Contains("unsigned: true"));
}

TEST_CASE("the policy that enrol writes is read back as the strictest", "[policy]")
{
    const auto policy = agent::parse_policy(agent::default_policy_text(), "policy.yaml");
    REQUIRE(policy);
    CHECK_FALSE(policy->signing.unsigned_packages);
    CHECK(policy->packages.empty());
    CHECK_FALSE(policy->permissions);
}

TEST_CASE("the canary is known by its bytes: no policy keeps it out, and it gets no permission", "[policy]")
{
    CHECK("sha256:" + to_hex(platform::sha256(protocol::canary_package())) == protocol::kCanaryDigest);
    const auto policy = agent::parse_policy("unsigned: false\npackages: [ order-status ]\n", "policy.yaml");
    REQUIRE(policy);
    auto offer = offer_of("millwright-canary");
    CHECK_FALSE(policy->admit(offer));   // the name alone is nothing
    offer.package_digest = protocol::kCanaryDigest;
    CHECK(policy->admit(offer));
    offer.permissions = *protocol::parse_permissions(Json::object({{"commands", Json::array({"sh"})}}), "permissions");
    CHECK_FALSE(policy->admit(offer));
    offer.permissions = {};
    offer.run_as = "root";
    CHECK_FALSE(policy->admit(offer));
}

TEST_CASE("only packages that a pattern names may run", "[policy]")
{
    const auto policy = agent::parse_policy("unsigned: true\npackages: [ 'reports-*', order-status ]\n", "policy.yaml");
    REQUIRE(policy);
    CHECK(policy->admit(offer_of("reports-daily")));
    CHECK(policy->admit(offer_of("order-status")));
    const auto verdict = policy->admit(offer_of("order-status-2"));
    REQUIRE_FALSE(verdict);
    CHECK_THAT(verdict.error().what, Catch::Contains("order-status-2"));
}

TEST_CASE("permissions beyond the machine's cap are refused by name", "[policy]")
{
    const auto policy = agent::parse_policy("unsigned: true\npermissions:\n  network: [ 'https://*.example.com' ]\n", "policy.yaml");
    REQUIRE(policy);
    auto offer = offer_of("a");
    offer.permissions.network = {"https://shop.example.com"};
    CHECK(policy->admit(offer));
    offer.permissions.read = {"/etc"};
    const auto verdict = policy->admit(offer);
    REQUIRE_FALSE(verdict);
    CHECK_THAT(verdict.error().what, Catch::Contains("/etc") && Catch::Contains("withholds"));
}

TEST_CASE("a default limit bends to the machine's cap, a written one is refused", "[policy]")
{
    const auto policy = agent::parse_policy("unsigned: true\npermissions: { limits: { memory: 128MiB } }\n", "policy.yaml");
    REQUIRE(policy);
    auto offer = offer_of("a");
    const auto bent = policy->admit(offer);
    REQUIRE(bent);
    CHECK(bent->limits.memory == mebibytes(128));
    offer.permissions.limits.stated = true;
    CHECK_FALSE(policy->admit(offer));
}

TEST_CASE("jobs run as another user only when the machine's policy names it", "[policy]")
{
    const auto policy = agent::parse_policy("unsigned: true\nrunAs: [ 'mw-*' ]\n", "policy.yaml");
    REQUIRE(policy);
    auto offer = offer_of("a");
    CHECK(policy->admit(offer));
    offer.run_as = "mw-sales";
    CHECK(policy->admit(offer));
    CHECK(policy->withheld_from(offer).empty());
    offer.run_as = "postgres";
    const auto verdict = policy->admit(offer);
    REQUIRE_FALSE(verdict);
    CHECK_THAT(verdict.error().what, Catch::Contains("postgres") && Catch::Contains("'runAs'"));
    CHECK(policy->withheld_from(offer) == *parse_json(R"([{"item":"user postgres","by":"policy.yaml: runAs"}])"));
    CHECK_FALSE(agent::parse_policy("unsigned: true\n", "policy.yaml")->admit(offer));
}

TEST_CASE("what is withheld is listed for programs, each with the entry that withholds it", "[policy]")
{
    const auto policy = agent::parse_policy("packages: [ 'reports-*' ]\npermissions: { network: [ 'https://*.example.com' ] }\n", "policy.yaml");
    REQUIRE(policy);
    auto offer = offer_of("order-status");
    offer.permissions.read = {"/etc"};
    CHECK(policy->withheld_from(offer) == *parse_json(R"([{"item":"package order-status 1.0.0, unsigned","by":"policy.yaml: unsigned"},
        {"item":"package order-status","by":"policy.yaml: packages"},{"item":"files.read /etc","by":"policy.yaml: permissions"}])"));
}

TEST_CASE("an unknown key in policy.yaml is an error that names it", "[policy]")
{
    const auto policy = agent::parse_policy("unsinged: true\n", "policy.yaml");
    REQUIRE_FALSE(policy);
    CHECK_THAT(policy.error().what, Catch::Contains("unsinged"));
}

TEST_CASE("patterns match with stars anywhere", "[policy]")
{
    CHECK(mill::matches_pattern("*", ""));
    CHECK(mill::matches_pattern("a*c*", "abcabc"));
    CHECK_FALSE(mill::matches_pattern("a*d", "abc"));
    CHECK_FALSE(mill::matches_pattern("", "a"));
}

TEST_CASE("a refusal names everything that is withheld, and by what", "[policy]")
{
    const auto policy = agent::parse_policy("packages: [ 'reports-*' ]\npermissions: { network: [ 'https://*.example.com' ] }\n", "policy.yaml");
    REQUIRE(policy);
    auto offer = offer_of("order-status");
    offer.permissions.read = {"/etc"};
    offer.permissions.commands = {"/bin/sh"};
    const auto verdict = policy->admit(offer);
    REQUIRE_FALSE(verdict);
    for (const char* word : {"order-status 1.0.0 is not signed", "not in 'packages'", "files.read /etc", "commands /bin/sh"}) CHECK_THAT(verdict.error().what, Catch::Contains(word));
}

TEST_CASE("policy test says beforehand what the admission says later, item by item", "[policy]")
{
    const auto policy = agent::parse_policy("unsigned: true\npermissions: { network: [ 'https://*.example.com' ], limits: { memory: 256MiB } }\n", "policy.yaml");
    REQUIRE(policy);
    const auto judged = [&](const std::string& yaml) { return agent::judge(*policy, parse_yaml(yaml)->value); };
    const std::string permissions = "permissions: { network: [ 'https://a.example.com' ], files: { read: [ /srv ] }, limits: { memory: 1GiB } }\n";
    for (const std::string& document : {"name: reports\nversion: 1.0.0\n" + permissions, "kind: Deployment\nname: d\npackage: reports@1.0.0\n" + permissions}) {
        const auto verdict = judged(document);
        REQUIRE(verdict);
        CHECK(verdict->package == "reports 1.0.0");
        CHECK_FALSE(verdict->admitted());
        std::string admitted, refused;
        for (const auto& item : verdict->items) (item.why.empty() ? admitted : refused) += item.what + "; ";
        CHECK_THAT(admitted, Catch::Contains("network https://a.example.com") && Catch::Contains("nobody signed"));
        CHECK(refused == "files.read /srv; limits.memory 1GiB; ");
    }
    const auto harmless = judged("name: a\npermissions: { network: [ 'https://a.example.com' ] }\n");
    REQUIRE(harmless);
    CHECK(harmless->admitted());
    const auto open = judged("name: a\npermissions: { network: [ { variable: url } ] }\n");
    REQUIRE(open);
    CHECK_FALSE(open->admitted());
    CHECK_THAT(open->items.back().what, Catch::Contains("url"));
    CHECK_THAT(judged("kind: Trigger\nname: t\n").error().what, Catch::Contains("Trigger"));
    CHECK_THAT(judged("kind: Deployment\npackage: a@1\npermissions: as-requested\n").error().what, Catch::Contains("package.yaml"));
    CHECK_THAT(judged("name: a\npermissions: { files: { raed: [ /srv ] } }\n").error().what, Catch::Contains("raed"));
    CHECK_FALSE(judged("permissions: {}\n"));
}

TEST_CASE("config.yaml: every mistake is reported at once", "[config]")
{
    const auto config = agent::parse_config("slots: 0\nwarm: 33\nlog: loud\nquotas: { packages: much }\nstpo: {}\n", "config.yaml");
    REQUIRE_FALSE(config);
    for (const char* word : {"slots", "warm", "loud", "much", "stpo"}) CHECK_THAT(config.error().what, Catch::Contains(word));
}

TEST_CASE("config.yaml: what is written holds, the rest are defaults", "[config]")
{
    const auto config = agent::parse_config("slots: 3\nstop: { jobs: finish, wait: 2m }\nquotas: { attempt: 1MiB }\n", "config.yaml");
    REQUIRE(config);
    CHECK(config->slots == 3);
    CHECK(config->finish_jobs);
    CHECK(config->stop_wait == std::chrono::minutes(2));
    CHECK(config->attempt_quota == mebibytes(1));
    CHECK(config->package_quota == mebibytes(2048));
}
