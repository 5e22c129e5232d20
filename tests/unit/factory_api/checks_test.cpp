#include <catch2/catch.hpp>

#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using Catch::Contains;

namespace {

constexpr std::string_view kRuns = "/v1/triggers/order-status-api/runs";

void answer_with(Factory& factory, std::optional<Error> error)
{
    const std::scoped_lock lock(factory.checks->mutex);
    factory.checks->answer = std::move(error);
}

}  // namespace

TEST_CASE("an upload that cannot be checked is refused with what happened, and nothing is stored", "[factory][api][checks]")
{
    Factory factory;
    SECTION("this machine has no sandbox")
    {
        answer_with(factory, Error{Errc::unavailable, "sandbox: /usr/bin/bwrap is missing; install the package bubblewrap"});
        const Answer refused = factory.upload(test::order_status());
        CHECK(refused.status == 503);
        CHECK(refused.json["type"] == Json("urn:millwright:problem:no_sandbox"));
        CHECK_THAT(refused.detail(), Contains("install the package bubblewrap") && Contains("nothing is taken unchecked"));
        const Answer ready = factory.call("GET", "/readyz");
        CHECK(ready.status == 200);
        CHECK_THAT(ready.json["packageChecks"].as_string(), Contains("bubblewrap"));
    }
    SECTION("the check crashed")
    {
        answer_with(factory, Error{Errc::corrupt, "the check crashed (signal 11)"});
        const Answer refused = factory.upload(test::order_status());
        CHECK(refused.status == 400);
        CHECK(refused.detail() == "the package: the check crashed (signal 11)");
        CHECK(factory.call("GET", "/readyz").json["packageChecks"] == Json("ok"));
    }
    SECTION("it took too much")
    {
        answer_with(factory, Error{Errc::too_large, "the check needs more than the 1GiB of memory that it may have"});
        CHECK(factory.upload(test::order_status()).status == 413);
    }
    SECTION("too much waits already")
    {
        factory.checks->full = true;
        const Answer refused = factory.upload(test::order_status());
        CHECK(refused.status == 503);
        CHECK(refused.headers.at("Retry-After") == "2");
    }
    CHECK(factory.as_admin("GET", "/v1/packages").json["items"].empty());
}

TEST_CASE("an input whose schema is plain is held against it here, others go to the checker", "[factory][api][checks]")
{
    Factory factory;
    SECTION("plain: no check of its own, also after a restart")
    {
        factory.deploy();
        CHECK(factory.as_admin("POST", kRuns, R"({"input":{"order":"17"}})").status == 202);
        factory.restart();
        factory.checks->full = true;   // nothing could be asked
        CHECK(factory.as_admin("POST", kRuns, R"({"input":{"order":"17"}})").status == 202);
        const Answer wrong = factory.as_admin("POST", kRuns, R"({"input":{"order":17}})");
        CHECK(wrong.status == 400);
        CHECK_FALSE(wrong.json["mistakes"].empty());
        CHECK(factory.checks->inputs == 0);
        CHECK(factory.checks->files == 0);
    }
    SECTION("a pattern")
    {
        factory.deploy("{ type: string, pattern: '^[0-9]+$' }");
        CHECK(factory.as_admin("POST", kRuns, R"({"input":{"order":"17"}})").status == 202);
        const Answer wrong = factory.as_admin("POST", kRuns, R"({"input":{"order":"seventeen"}})");
        CHECK(wrong.status == 400);
        CHECK_THAT(wrong.detail(), Contains("/order"));
        CHECK(factory.checks->inputs == 2);

        answer_with(factory, Error{Errc::timeout, "the check used more than 3 s of processor time and was ended"});
        const Answer slow = factory.as_admin("POST", kRuns, R"({"input":{"order":"17"}})");
        CHECK(slow.status == 400);
        CHECK_THAT(slow.detail(), Contains("processor time"));
        answer_with(factory, Error{Errc::unavailable, "no sandbox can be started"});
        CHECK(factory.as_admin("POST", kRuns, R"({"input":{"order":"17"}})").status == 503);
        answer_with(factory, {});
        factory.checks->full = true;
        CHECK(factory.as_admin("POST", kRuns, R"({"input":{"order":"17"}})").headers.at("Retry-After") == "2");
        CHECK(factory.as_admin("GET", "/v1/jobs").json["items"].size() == 1);
    }
    SECTION("a large input")
    {
        factory.deploy("{ type: [ string, array ], uniqueItems: true, items: { type: integer } }");
        std::string many = "0";
        for (int i = 1; i < 2000; ++i) many += "," + std::to_string(i);
        CHECK(factory.as_admin("POST", kRuns, R"({"input":{"order":[1,2,3]}})").status == 202);
        CHECK(factory.checks->inputs == 0);
        CHECK(factory.as_admin("POST", kRuns, R"({"input":{"order":[)" + many + "]}}").status == 202);
        CHECK(factory.checks->inputs == 1);
    }
}

TEST_CASE("a package that an earlier program kept is read by the checker once", "[factory][api][checks]")
{
    Factory factory;
    const std::string& bytes = test::order_status();
    const auto manifest = parse_json(R"({"name":"order-status","version":"1.2.0","workflows":{"main":"main.yaml"},"permissions":{},"repeatable":false})");
    REQUIRE(manifest);
    REQUIRE(factory::await<factory::PackageRecord>([&](auto done) { factory.core->put_package("order-status", "1.2.0", bytes, *manifest, Json(), factory::PackageState::released, {"test", ""}, done); }));
    factory.apply();
    factory.restart();
    CHECK(factory.as_admin("POST", kRuns, R"({"input":{"order":17}})").status == 400);
    CHECK(factory.checks->files == 1);
    factory.core->flush();
    factory.restart();
    CHECK(factory.as_admin("POST", kRuns, R"({"input":{"order":"17"}})").status == 202);
    CHECK(factory.checks->files == 1);
    CHECK(factory.as_admin("GET", "/v1/triggers/order-status-api/calls").json["sample"]["input"]["order"] == Json("example"));
}
