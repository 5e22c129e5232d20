#include "agent/policy.h"
#include "platform/base/text.h"

#include <catch2/catch.hpp>

#include "agent/config.h"

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
    CHECK_FALSE(policy->unsigned_packages);
    CHECK(policy->packages.empty());
    CHECK_FALSE(policy->permissions);
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

TEST_CASE("config.yaml: every mistake is reported at once", "[config]")
{
    const auto config = agent::parse_config("slots: 0\nlog: loud\nquotas: { packages: much }\nstpo: {}\n", "config.yaml");
    REQUIRE_FALSE(config);
    for (const char* word : {"slots", "loud", "much", "stpo"}) CHECK_THAT(config.error().what, Catch::Contains(word));
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
