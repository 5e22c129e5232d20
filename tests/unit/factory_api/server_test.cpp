#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "factory/http/server.h"
#include "tests/unit/factory_api/factory.h"
#include "tests/unit/factory_http/raw_client.h"

using namespace mill;
using namespace std::chrono_literals;
using mill::test::Factory;
using mill::test::HandAgent;
using mill::test::RawClient;
using Catch::Contains;

namespace {

/// The API behind the real server.
struct Served {
    Factory factory;
    std::unique_ptr<factory::HttpServer> server;
    Served()
    {
        factory.deploy();
        factory::HttpServerOptions options;
        options.body_limit = factory::api_body_limit;
        auto started = factory::start_http_server(std::move(options), factory.handler());
        if (!started) FAIL(started.error().what);
        server = std::move(*started);
    }
    RawClient connect() { return RawClient(server->port()); }
};

std::string request(std::string_view method, std::string_view target, std::string_view headers, std::string_view body = {})
{
    return fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}{}\r\n{}", method, target, headers,
                       body.empty() && method == "GET" ? std::string() : fmt::format("Content-Length: {}\r\n", body.size()), body);
}

constexpr std::string_view kBody = R"({"invocationContext":{"conversationId":"c-1"},"input":{"order":"4711"}})";

}  // namespace

TEST_CASE("callers of SAP's two forms are served as they are, with a new address and token", "[factory][api][sap]")
{
    Served served;
    const std::string uid = served.factory.as_admin("GET", "/v1/triggers/order-status-api").json["status"]["uid"].as_string();
    const std::string token = served.factory.trigger_token();
    const std::string key = served.factory.as_admin("POST", "/v1/environments/it-services/key").json["token"].as_string();
    auto client = served.connect();
    // As an axios client of the first generation writes it.
    REQUIRE(client.send(request("POST", "/apitrigger/v1/triggers/" + uid + "/run",
                                fmt::format("Accept: application/json, text/plain, */*\r\nContent-Type: application/json;charset=utf-8\r\n"
                                            "Authorization: Bearer eyJhbGciOi.of.anotherSystem\r\nirpa-trigger-token: {}\r\nUser-Agent: axios/0.19.2\r\n", token), kBody)));
    const std::string first = client.read_reply();
    CHECK_THAT(first, Contains("HTTP/1.1 202") && Contains("\"jobUid\":\""));
    // As the second generation's recorded callers do, on the same connection, header names in another case.
    REQUIRE(client.send(request("POST", "/runtime/v1/apiTriggers/" + uid + "/runs", fmt::format("Content-Type: application/json\r\nIRPA-API-KEY: {}\r\n", key), kBody)));
    CHECK_THAT(client.read_reply(), Contains("HTTP/1.1 202") && Contains("statusUrl"));
    // The recorded trap.
    REQUIRE(client.send(request("POST", "/runtime/v1/apiTriggers/" + uid + "/runs", fmt::format("Content-Type: application/json\r\nirpa-api-key: {}\r\n", key),
                                R"({"invocationContext": "${invocation_context}", "input": {"order": "1"}})")));
    CHECK_THAT(client.read_reply(), Contains("HTTP/1.1 400") && Contains("placeholder") && Contains("\"severity\":\"error\""));
    CHECK(served.factory.as_admin("GET", "/v1/jobs").json["items"].size() == 2);
}

TEST_CASE("a body above its path's limit is refused by its header, before it is read", "[factory][api]")
{
    Served served;
    auto client = served.connect();
    REQUIRE(client.send(fmt::format("POST /v1/triggers/order-status-api/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n"
                                    "Content-Length: 2000000\r\n\r\n", served.factory.admin)));
    CHECK_THAT(client.read_reply(), Contains("HTTP/1.1 413"));
    auto other = served.connect();
    REQUIRE(other.send("POST /no/such/path HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"));
    CHECK_THAT(other.read_reply(), Contains("HTTP/1.1 413"));
}

TEST_CASE("an agent that vanishes in its poll is noticed, and its job goes to another", "[factory][api][agents]")
{
    Served served;
    HandAgent first(served.factory, "srv-1"), second(served.factory, "srv-2");
    first.join();
    second.join();
    auto client = served.connect();
    REQUIRE(client.send(request("POST", "/agent/v1/offers", fmt::format("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", first.token), R"({"want":1,"answers":[]})")));
    const auto online = [&](std::string_view name) { return served.factory.as_admin("GET", fmt::format("/v1/agents/{}", name)).json["online"].as_bool(); };
    bool seen = false;
    for (int tries = 0; !seen && tries < 100; ++tries) {
        seen = online("srv-1");
        system_clock().sleep(20ms, {});
    }
    REQUIRE(seen);
    client.close();
    for (int tries = 0; seen && tries < 200; ++tries) {
        seen = online("srv-1");
        system_clock().sleep(20ms, {});
    }
    CHECK_FALSE(seen);
    const auto poll = second.poll(1);
    CHECK(served.factory.as_admin("POST", "/v1/triggers/order-status-api/runs", kBody).status == 202);
    CHECK(poll.answer().json["offers"].size() == 1);
}

TEST_CASE("events stream over a connection as they happen", "[factory][api]")
{
    Served served;
    auto client = served.connect();
    REQUIRE(client.send(request("GET", "/v1/events", fmt::format("Authorization: Bearer {}\r\nAccept: text/event-stream\r\n", served.factory.admin))));
    CHECK(client.wait_for("text/event-stream"));
    CHECK(client.wait_for("retry: 2000"));
    const auto run = served.factory.as_admin("POST", "/v1/triggers/order-status-api/runs", kBody);
    CHECK(client.wait_for("event: job"));
    CHECK(client.wait_for(run.json["jobUid"].as_string()));
}
