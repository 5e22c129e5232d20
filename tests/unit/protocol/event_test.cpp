#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "protocol/event.h"
#include "protocol/offer.h"

using namespace mill;
using namespace mill::protocol;

namespace {

std::string golden(const std::string& name)
{
    const char* source = std::getenv("MILL_SOURCE");
    std::ifstream file(std::string(source != nullptr ? source : ".") + "/tests/golden/protocol/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("every golden event is read and written back byte for byte", "[protocol][event]")
{
    std::istringstream lines(golden("events.jsonl"));
    std::string line;
    int count = 0;
    while (std::getline(lines, line)) {
        const auto event = parse_event(*parse_json(line));
        REQUIRE(event);
        CHECK(dump_json(to_json(*event)) == line);
        ++count;
    }
    CHECK(count == 5);
}

TEST_CASE("the golden offer is read and written back byte for byte", "[protocol][offer]")
{
    std::string text = golden("offer.json");
    REQUIRE_FALSE(text.empty());
    while (text.ends_with('\n')) text.pop_back();
    const auto offer = parse_offer(*parse_json(text));
    REQUIRE(offer);
    CHECK(offer->id.key() == "019a0000-0000-7000-8000-000000000001.1.2");
    CHECK(offer->input["order"].as_integer() == 9007199254740993);
    CHECK(offer->permissions.limits.cpu == std::chrono::minutes(1));
    CHECK(dump_json(to_json(*offer)) == text);
}

TEST_CASE("an offer with a digest that is none is refused, naming the member", "[protocol][offer]")
{
    Json json = *parse_json(golden("offer.json"));
    json.set("package", Json::object({{"name", "a"}, {"version", "1"}, {"digest", "sha256:../../etc/passwd"}}));
    const auto offer = parse_offer(json);
    REQUIRE_FALSE(offer);
    CHECK(offer.error().code == Errc::invalid);
    CHECK_THAT(offer.error().what, Catch::Contains("digest"));
}

TEST_CASE("an attempt's key reads back, and nothing else does", "[protocol][event]")
{
    const AttemptId id{"019a-x", 3, 4};
    CHECK(*AttemptId::from_key(id.key()) == id);
    for (const char* wrong : {"", ".", "a", "a.1", "..1.1", "../x.1.1", "a.0.1", "a.1.0", "a.01.1", "a.1.1.1", "a.-1.1", "a.1.99999999999", "a/b.1.1"})
        CHECK_FALSE(AttemptId::from_key(wrong));
}

TEST_CASE("an event that breaks the contract is refused, naming the member", "[protocol][event]")
{
    const auto what = [](const char* text) { return parse_event(*parse_json(text)).error().what; };
    CHECK_THAT(what(R"({"sequence":0,"time":"2026-11-22T13:40:01Z","kind":"log","body":{}})"), Catch::Contains("sequence"));
    CHECK_THAT(what(R"({"sequence":1,"time":"yesterday","kind":"log","body":{}})"), Catch::Contains("time"));
    CHECK_THAT(what(R"({"sequence":1,"time":"2026-11-22T13:40:01Z","kind":"noise","body":{}})"), Catch::Contains("kind"));
    CHECK_THAT(what(R"({"sequence":1,"time":"2026-11-22T13:40:01Z","kind":"log","body":[]})"), Catch::Contains("body"));
    CHECK_THAT(what(R"({"sequence":1,"time":"2026-11-22T13:40:01Z","kind":"state","body":{"state":"gone"}})"), Catch::Contains("state"));
    Json big = *parse_json(R"({"sequence":1,"time":"2026-11-22T13:40:01Z","kind":"log"})");
    big.set("body", Json::object({{"text", std::string(kMaxEventBytes + 1, 'x')}}));
    CHECK_THAT(parse_event(big).error().what, Catch::Contains("larger"));
}

TEST_CASE("only a final state event has a final state", "[protocol][event]")
{
    CHECK(final_state(state_event(1, {}, JobState::running)) == std::nullopt);
    const Event event = state_event(2, {}, JobState::failed, Reason::limit_memory, Json::object({{"evidence", Json::object()}}));
    CHECK(final_state(event) == JobState::failed);
    CHECK(event.body["reason"].as_string() == "limit_memory");
    CHECK(event.body.contains("evidence"));
}
