#include "agent/runner/asking.h"

#include <catch2/catch.hpp>

#include "protocol/asks.h"

using namespace mill;
using namespace mill::runner;

namespace {

workflows::EffectRequest question_of(std::uint64_t id, Json schema)
{
    workflows::EffectRequest request;
    request.id = id;
    request.effect = "ask";
    request.call = "ask.user";
    request.with = Json::object({{"question", Json::object({{"kind", "ask"}, {"text", "Which?"}, {"schema", std::move(schema)}, {"by", Json::array()}, {"withinMs", 1000}})}});
    return request;
}

}  // namespace

TEST_CASE("a run asks no more than its agent takes: the rest is an error of the task, and not the end of the job", "[runner][asking]")
{
    std::vector<Json> sent;
    Asking asking([&](const Json& message) { sent.push_back(message); });
    asking.begin("factory");
    asking.start(question_of(1, Json::object({{"description", std::string(protocol::kMaxAskBytes, 'x')}})), WallTime{1});
    CHECK(sent.empty());
    auto answers = asking.take();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].outcome.error().detail.find("128KiB") != std::string::npos);
    for (std::uint64_t id = 0; id <= protocol::kMostAsked; ++id) asking.start(question_of(id, Json()), WallTime{1});
    CHECK(sent.size() == protocol::kMostAsked);
    CHECK(asking.take().size() == 1);
    for (std::uint64_t id = 0; id < protocol::kMostAsks + 1; ++id) {
        asking.cancel(id % protocol::kMostAsked, "x");
        asking.start(question_of(id % protocol::kMostAsked, Json()), WallTime{1});
        (void)asking.take();
    }
    std::size_t asks = 0;
    for (const Json& each : sent) asks += each.contains("ask") ? 1 : 0;
    CHECK(asks == protocol::kMostAsks);
}
