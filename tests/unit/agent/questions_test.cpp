#include "agent/questions.h"

#include "tests/unit/agent/agent_world.h"

using namespace mill;
using namespace mill::test;

TEST_CASE("a job's question is its own: another job that names the same one takes nothing of it away", "[agent][asking]")
{
    AgentWorld world;
    world.factory.on("/agent/v1/ask", [](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
        reply.status = 200;
        reply.body = R"({"state":"open"})";
        return true;
    });
    agent::Questions questions(world.client, system_clock(), [](agent::Command) {});
    const Json ask = Json::object({{"question", "q-1"}, {"kind", "ask"}, {"text", "How many?"}});
    questions.ask({"job-a", 1, 1}, ask);
    questions.ask({"job-b", 1, 1}, Json(ask).set("text", "Something else"));
    questions.withdraw({"job-c", 1, 1}, "q-1", "not mine");
    std::jthread bringing([&](std::stop_token stop) { questions.run(stop); });
    const Json first = world.factory.request("/agent/v1/ask", 1), second = world.factory.request("/agent/v1/ask", 2), third = world.factory.request("/agent/v1/ask", 3);
    CHECK(first["job"] == Json("job-a"));
    CHECK(first["text"] == Json("How many?"));
    CHECK(second["job"] == Json("job-b"));
    CHECK(second["text"] == Json("Something else"));
    CHECK(third["job"] == Json("job-c"));
    CHECK(third["withdraw"] == Json("not mine"));
}
