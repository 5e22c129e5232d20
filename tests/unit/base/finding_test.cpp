#include "platform/base/finding.h"

#include <catch2/catch.hpp>

using namespace mill;
using Catch::Contains;

TEST_CASE("findings go out on one line each and come back the same", "[finding]")
{
    Findings report;
    report.ok("disk", "5 GiB free");
    report.warning("clock", "7 s\nbehind", "timedatectl set-ntp true");
    auto list = report.take();
    CHECK(list[1].text == "7 s behind");
    CHECK(all_well(list));
    auto back = parse_findings(to_json(list));
    REQUIRE(back);
    REQUIRE(back->size() == 2);
    CHECK(to_json(*back) == to_json(list));
    report.error("key", "revoked", "enrol again");
    CHECK_FALSE(all_well(report.take()));
}

TEST_CASE("a list of findings from outside is bounded", "[finding]")
{
    const auto one = [](std::string code, std::string state, std::string text) { return Json::array({Json::object({{"check", code}, {"state", state}, {"text", text}})}); };
    CHECK_FALSE(parse_findings(Json("all is well")));
    CHECK_FALSE(parse_findings(one("", "ok", "")));
    CHECK_FALSE(parse_findings(one("Disk", "ok", "")));
    CHECK_FALSE(parse_findings(one(std::string(41, 'a'), "ok", "")));
    CHECK_FALSE(parse_findings(one("disk", "fine", "")));
    const auto cut = parse_findings(one("disk", "error", std::string(5000, 'x') + "\n"));
    REQUIRE(cut);
    CHECK(cut->front().text.size() == 2000);
    CHECK(cut->front().fix.empty());
    CHECK(parse_findings(one("disk", "ok", "a\x1b[2Jb"))->front().text.find('\x1b') == std::string::npos);
    Json many = Json::array();
    for (int i = 0; i < 101; ++i) many.push(Json::object({{"check", "disk"}, {"state", "ok"}}));
    CHECK_FALSE(parse_findings(many));
}
