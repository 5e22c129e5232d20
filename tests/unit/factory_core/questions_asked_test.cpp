#include <algorithm>

#include "tests/unit/factory_core/world.h"

namespace mill::factory::test {
namespace {

struct Asked {
    World world;
    decltype(world.offered()) offered = (world.orders(), world.offered());
    AskRequest request{.id = new_uid(), .attempt = offered.id, .kind = QuestionKind::ask, .text = "How many?", .schema = Json::object({{"type", "integer"}}),
                       .by = Json::array({"role:operator"}), .not_requester = false, .within = std::chrono::minutes(5), .at_deadline = {}};

    Asked() { world.report(offered.agent, offered.id, {world.state(1, JobState::running)}); }
    Result<QuestionRecord> ask()
    {
        return await<QuestionRecord>([&](auto done) { world.core().ask(offered.agent.id, request, done); });
    }
    void answer(Json value)
    {
        REQUIRE(await<Answered>([&](auto done) { world.core().answer_question({request.id, std::move(value), "as said", "api", {"role:operator"}, {}, {}, {}}, {"user bob", "127.0.0.1"}, done); }));
        world.core().flush();
    }
    /// What a poll brings at once.
    PollAnswer poll(std::vector<std::string> heard = {})
    {
        Poll poll;
        poll.agent = offered.agent.id;
        poll.wait = Milliseconds(0);
        poll.heard = std::move(heard);
        auto promise = std::make_shared<std::promise<Result<PollAnswer>>>();
        auto future = promise->get_future();
        world.core().park(std::move(poll), [promise](Result<PollAnswer> got) { promise->set_value(std::move(got)); });
        world.core().flush();
        world.core().run_timers();
        world.core().flush();
        REQUIRE(future.wait_for(std::chrono::seconds(5)) == std::future_status::ready);
        auto got = future.get();
        REQUIRE(got);
        return std::move(*got);
    }
};

}  // namespace

TEST_CASE("an answer is brought by polls until its agent has heard it, whatever restarts meanwhile", "[core][questions]")
{
    Asked asked;
    REQUIRE(asked.ask());
    CHECK(asked.poll().answered.empty());
    asked.answer(7);
    const auto first = asked.poll().answered;
    REQUIRE(first.size() == 1);
    CHECK(first[0].question.id == asked.request.id);
    CHECK(first[0].question.answer == Json(7));
    CHECK(first[0].id == asked.offered.id);
    asked.world.pass(Milliseconds(2'100));
    CHECK(asked.poll().answered.size() == 1);   // that poll may have been lost
    SECTION("heard: not again")
    {
        CHECK(asked.poll({asked.request.id}).answered.empty());
        asked.world.pass(Milliseconds(2'100));
        CHECK(asked.poll().answered.empty());
    }
    SECTION("the factory starts again: once more")
    {
        asked.world.restart();
        CHECK(asked.poll().answered.size() == 1);
    }
    SECTION("said again it is the same question, and says what came of it")
    {
        const auto again = asked.ask();
        REQUIRE(again);
        CHECK(again->state == QuestionState::answered);
        CHECK(again->answer == Json(7));
    }
}

TEST_CASE("nobody in time is an answer, too", "[core][questions]")
{
    Asked asked;
    REQUIRE(asked.ask());
    asked.world.pass(std::chrono::minutes(5));
    const auto got = asked.poll().answered;
    REQUIRE(got.size() == 1);
    CHECK(got[0].question.state == QuestionState::expired);
}

TEST_CASE("what is not wanted any more is withdrawn, and not said to its agent", "[core][questions]")
{
    Asked asked;
    REQUIRE(asked.ask());
    const auto unask = [&](const std::string& agent, protocol::AttemptId id) {
        return await<Nothing>([&](auto done) { asked.world.core().unask(agent, id, asked.request.id, "it went on", done); });
    };
    CHECK(unask(asked.world.agent("srv-2").id, asked.offered.id).error().code == Errc::denied);
    REQUIRE(unask(asked.offered.agent.id, asked.offered.id));
    CHECK(asked.world.core().reader()->question(asked.request.id)->state == QuestionState::withdrawn);
    CHECK(asked.poll().answered.empty());
    CHECK(unask(asked.offered.agent.id, asked.offered.id));   // said again
}

TEST_CASE("a job that waits says whom it asks, and is waiting", "[core][questions]")
{
    Asked asked;
    REQUIRE(asked.ask());
    asked.world.report(asked.offered.agent, asked.offered.id, {asked.world.state(2, JobState::waiting)});
    CHECK(asked.world.job(asked.offered.job.uid).state == JobState::waiting);
    const auto why = await<Why>([&](auto done) { asked.world.core().why(asked.offered.job.uid, done); });
    REQUIRE(why);
    const auto found = std::find_if(why->reasons.begin(), why->reasons.end(), [](const WhyReason& each) { return each.code == "question"; });
    REQUIRE(found != why->reasons.end());
    CHECK_THAT(found->text, Catch::Contains("asks role operator until") && Catch::Contains("How many?"));
    asked.answer(7);
    asked.world.report(asked.offered.agent, asked.offered.id, {asked.world.state(3, JobState::running)});
    CHECK(asked.world.job(asked.offered.job.uid).state == JobState::running);
}

TEST_CASE("an agent that is away costs a waiting job nothing; from the answer on its limit counts", "[core][questions]")
{
    Asked asked;
    asked.request.within = std::chrono::hours(24);
    REQUIRE(asked.ask());
    asked.world.report(asked.offered.agent, asked.offered.id, {asked.world.state(2, JobState::waiting)});
    for (int i = 0; i < 4; ++i) asked.world.pass(std::chrono::hours(1));
    CHECK(asked.world.job(asked.offered.job.uid).state == JobState::waiting);
    asked.answer(7);
    asked.world.pass(std::chrono::minutes(10));
    CHECK(asked.world.job(asked.offered.job.uid).state == JobState::waiting);
    asked.world.pass(std::chrono::minutes(10));
    CHECK(asked.world.job(asked.offered.job.uid).reason == Reason::agent_lost);
}

TEST_CASE("without a name whoever the job is for may answer; an approval is somebody else's", "[core][questions]")
{
    Asked asked;
    asked.request.by = Json::array();
    const auto question = asked.ask();
    REQUIRE(question);
    const std::string by = asked.offered.job.requested_by;
    CHECK(question->by == (by.starts_with("user ") ? Json::array({"user:" + by.substr(5)}) : by.starts_with("admin ") ? Json::array({"user:" + by.substr(6)}) : Json::array({"role:operator"})));
    asked.request.id = new_uid();
    asked.request.kind = QuestionKind::approval;
    asked.request.not_requester = true;
    CHECK(asked.ask()->by == Json::array({"role:operator"}));
}

TEST_CASE("what a job tells stands in its timeline once, however often its events are sent", "[core][questions]")
{
    Asked asked;
    const protocol::Event told{2, WallTime{5}, protocol::EventKind::log, Json::object({{"level", "info"}, {"text", "it is there"}, {"tell", true}})};
    for (int i = 0; i < 2; ++i) asked.world.report(asked.offered.agent, asked.offered.id, {told});
    const auto lines = asked.world.line_of(asked.offered.job.uid);
    CHECK(std::count(lines.begin(), lines.end(), "told") == 1);
}

}  // namespace mill::factory::test
