#include <catch2/catch.hpp>

#include <string>

#include "agent/broker/message.h"

using namespace mill;
using broker::parse_incoming;

TEST_CASE("a call is read with its deadline", "[broker][message]")
{
    const auto incoming = parse_incoming(R"({"id":7,"effect":"file.read","with":{"path":"/srv/x"},"timeoutMs":250,"later":true})");
    REQUIRE(incoming);
    REQUIRE(incoming->call);
    CHECK(incoming->call->id == 7);
    CHECK(incoming->call->effect == "file.read");
    CHECK(incoming->call->with["path"].as_string() == "/srv/x");
    CHECK(incoming->call->timeout == Milliseconds(250));
    CHECK_FALSE(incoming->cancel);
}

TEST_CASE("without a timeout the default holds, and none is longer than the longest", "[broker][message]")
{
    CHECK(parse_incoming(R"({"id":1,"effect":"x"})")->call->timeout == broker::kDefaultTimeout);
    CHECK(parse_incoming(R"({"id":1,"effect":"x","timeoutMs":99999999999})")->call->timeout == broker::kMaxTimeout);
}

TEST_CASE("a cancel names the call", "[broker][message]")
{
    const auto incoming = parse_incoming(R"({"cancel":7})");
    REQUIRE(incoming);
    CHECK(incoming->cancel == 7U);
    CHECK_FALSE(incoming->call);
}

TEST_CASE("a message that is none of ours is refused, and says why", "[broker][message]")
{
    const std::string text = GENERATE(as<std::string>(), "", "{", "[]", "null", "7", "{}", R"({"id":0,"effect":"x"})", R"({"id":-1,"effect":"x"})",
                                      R"({"id":"1","effect":"x"})", R"({"id":1,"effect":7})", R"({"id":1,"effect":"x","with":[]})",
                                      R"({"id":1,"effect":"x","timeoutMs":0})", R"({"cancel":"all"})", R"({"id":1,"id":2,"effect":"x"})", "\xff\xfe");
    CAPTURE(text);
    const auto incoming = parse_incoming(text);
    REQUIRE_FALSE(incoming);
    CHECK_FALSE(incoming.error().what.empty());
}

TEST_CASE("a message nested too deeply is refused before it is built", "[broker][message]")
{
    const std::string deep = R"({"id":1,"effect":"x","with":{"a":)" + std::string(200, '[') + std::string(200, ']') + "}}";
    CHECK_FALSE(parse_incoming(deep));
}

TEST_CASE("a message that would grow in memory is refused before it is read", "[broker][message]")
{
    std::string many = R"({"id":1,"effect":"x","with":{"a":[0)";
    for (std::size_t i = 0; i < broker::kMaxCallValues; ++i) many += ",0";
    CHECK(parse_incoming(many + "]}}").error().code == Errc::too_large);
    CHECK(parse_incoming(R"({"id":1,"effect":"x","with":{"a":")" + std::string(broker::kMaxCallBytes, 'x') + "\"}}").error().code == Errc::too_large);
    CHECK(parse_incoming(R"({"id":1,"effect":"x","with":{"a":"\")" + std::string(broker::kMaxCallValues + 1, ',') + "\"}}"));
}

TEST_CASE("an effect's name is bounded", "[broker][message]")
{
    CHECK_FALSE(parse_incoming(R"({"id":1,"effect":")" + std::string(65, 'x') + "\"}"));
}

TEST_CASE("answers have the form of the contract", "[broker][message]")
{
    CHECK(broker::result_text(3, Json::object({{"size", 1}})) == R"({"id":3,"result":{"size":1}})");
    CHECK(broker::error_text(3, {"timeout", 408, "No answer in time", "x"}) ==
          R"({"id":3,"error":{"type":"timeout","status":408,"title":"No answer in time","detail":"x"}})");
    CHECK(broker::reset_text() == R"({"reset":true})");
}
