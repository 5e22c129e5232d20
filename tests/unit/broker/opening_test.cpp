#include <catch2/catch.hpp>

#include "agent/broker/effects.h"
#include "agent/broker/opening.h"

using namespace mill;
using broker::Opening;

namespace {

Json json(std::string_view text) { return *parse_json(text); }

/// An attempt that was granted `erp`, to use and to reveal, held by the machine as the file says.
std::shared_ptr<const broker::Grants> held(const std::string& file)
{
    protocol::Boxed boxed{Json::object(), json(R"({"erp":{"name":"erp-prod","kind":"bearer","hosts":["https://erp.example.com"]}})")};
    auto opening = Opening::begin("job.1.1", json(R"({"credentials":["erp"],"reveal":["erp"]})"), std::move(boxed), {});
    REQUIRE(opening);
    CHECK(opening->waits_for() == std::set<std::string>{"erp-prod"});
    REQUIRE(opening->take("erp-prod", file));
    auto grants = opening->grants();
    REQUIRE(grants);
    return *grants;
}

broker::Outcome<Json> reveal(const broker::Grants& grants)
{
    broker::HttpClients clients;
    broker::EffectContext context{grants, clients, system_clock().steady() + Milliseconds(10'000), {}};
    return broker::find_effect("credential.reveal")(json(R"({"handles":["erp.token"]})"), context);
}

}  // namespace

TEST_CASE("a machine's own credential is revealed only when its file says so, whatever was granted", "[broker][opening]")
{
    const auto kept = held("token: s3cret-token\nhosts: [ 'https://only.example.com' ]\n");
    CHECK(kept->revealed.empty());
    const auto refused = reveal(*kept);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == 403);
    CHECK_THAT(refused.error().detail, Catch::Contains("'reveal: true'"));
    CHECK(kept->machine_hosts.at("erp") == std::vector<std::string>{"https://only.example.com"});
    CHECK_FALSE(reveal(*held("token: s3cret-token\nreveal: false\n")));

    const auto open = held("token: s3cret-token\nreveal: true\n");
    CHECK(open->revealed == json(R"(["s3cret-token"])"));
    const auto value = reveal(*open);
    REQUIRE(value);
    CHECK((*value)["values"]["erp.token"].as_string() == "s3cret-token");
}
