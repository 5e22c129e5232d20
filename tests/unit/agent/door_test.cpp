// People of a machine join through its agent: who they are says the kernel.
#include <memory>

#include <catch2/catch.hpp>

#include "agent/door.h"

using namespace mill;
using namespace mill::agent;

namespace {

struct House {
    FakeClock clock;
    std::vector<Json> asked;
    int status = 0;
    std::string detail;
    Door door{{{"https://factory.example.com", "/etc/ca.pem", [this](const Json& request, int& out) -> Result<Json> {
                    asked.push_back(request);
                    out = status;
                    if (status != 0) return fail(Errc::denied, detail);
                    return Json::object({{"name", "srv-1-" + request["user"].as_string()}});
                }}},
              clock};
    platform::LocalResponse join(const std::string& user, const std::string& body = R"({"publicKey":"k","factory":"https://factory.example.com","user":"anna"})")
    {
        return door.answer({"POST", "/v1/sessions", body, user});
    }
};

}  // namespace

TEST_CASE("the factory is told the user that the kernel says, whatever the request says", "[door]")
{
    House house;
    CHECK(house.join("bert").status == 200);
    REQUIRE(house.asked.size() == 1);
    CHECK(house.asked[0]["user"].as_string() == "bert");
    CHECK(house.asked[0]["publicKey"].as_string() == "k");
}

TEST_CASE("root, users without a name, other factories and wrong requests are refused without asking", "[door]")
{
    House house;
    CHECK(house.join("root").status == 403);
    CHECK(house.join("1042").status == 403);
    CHECK(house.join("").status == 403);
    CHECK(house.join("anna", R"({"publicKey":"k","factory":"https://other.example.com"})").status == 404);
    CHECK(house.join("anna", "{").status == 400);
    CHECK(house.join("anna", "{}").status == 400);
    CHECK(house.door.answer({"GET", "/v1/sessions", "", "anna"}).status == 405);
    CHECK(house.door.answer({"GET", "/", "", "anna"}).status == 404);
    CHECK(house.asked.empty());
    const auto factories = house.door.answer({"GET", "/v1/factories", "", "anna"});
    CHECK(factories.body == R"({"factories":[{"url":"https://factory.example.com","caFile":"/etc/ca.pem"}]})");
}

TEST_CASE("what the factory says comes back with its status, and no answer of its is 503", "[door]")
{
    House house;
    house.status = 403;
    house.detail = "`millwright agents set srv-1 --sessions on`";
    const auto refused = house.join("anna");
    CHECK(refused.status == 403);
    CHECK_THAT(refused.body, Catch::Contains("--sessions on"));
    Door away({{"u", "", [](const Json&, int& status) -> Result<Json> {
                    status = 0;
                    return fail(Errc::unavailable, "away");
                }}}, house.clock);
    CHECK(away.answer({"POST", "/v1/sessions", R"({"publicKey":"k","factory":"u"})", "anna"}).status == 503);
}

TEST_CASE("nobody asks more than five times a minute, and nobody keeps others from it by that", "[door]")
{
    House house;
    for (int i = 0; i < 5; ++i) CHECK(house.join("anna").status == 200);
    CHECK(house.join("anna").status == 429);
    CHECK(house.join("bert").status == 200);
    house.clock.advance(std::chrono::seconds(61));
    CHECK(house.join("anna").status == 200);
}
