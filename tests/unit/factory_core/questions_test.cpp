#include <algorithm>
#include <thread>

#include "tests/unit/factory_core/world.h"

namespace mill::factory::test {
namespace {

using Verdict = Answered::Verdict;

const Json kApproval = Json::object({{"approval", Json::object({{"by", Json::array({"role:operator", "user:anna"})}, {"within", "2h"}})}, {"expiration", "30m"}});
const std::vector<std::string> kOperator{"token:t1", "role:viewer", "role:operator", "user:bob"};

bool has(const std::vector<std::string>& list, std::string_view word) { return std::find(list.begin(), list.end(), word) != list.end(); }

std::vector<QuestionRecord> open_in(World& world, const std::string& conversation = {})
{
    QuestionQuery query;
    query.state = QuestionState::open;
    query.conversation = conversation;
    auto page = world.core().reader()->questions(query);
    REQUIRE(page);
    return page->items;
}

Answered answer(World& world, const std::string& id, Json value, std::vector<std::string> names = kOperator, const std::string& who = "user bob", std::string comment = {})
{
    auto out = await<Answered>([&](auto done) { world.core().answer_question({id, std::move(value), std::move(comment), "api", std::move(names), {}, {}, {}}, {who, "127.0.0.1"}, done); });
    world.core().flush();
    REQUIRE(out);
    return *out;
}

}  // namespace

TEST_CASE("a job of a trigger with approval is offered to nobody before somebody approves", "[core][questions]")
{
    World world;
    world.orders(kApproval);
    const AgentRecord srv = world.agent("srv-1");
    const Parking parking = world.park(srv);
    const auto accepted = world.try_run();
    REQUIRE(accepted);
    CHECK(accepted->job.state == JobState::ready);
    CHECK_THAT(accepted->waiting_for, Catch::Contains("waits for the approval of role operator or user anna until"));
    CHECK_FALSE(parking.answered());
    const auto open = open_in(world);
    REQUIRE(open.size() == 1);
    CHECK(open[0].job == accepted->job.uid);
    CHECK(world.codes(accepted->job.uid).front() == "approval");
    CHECK_THAT(world.why(accepted->job.uid).summary, Catch::Contains("millwright questions answer " + open[0].id));
    CHECK(has(world.line_of(accepted->job.uid), "approval_requested"));

    SECTION("the same call again is the same job, which waits for the same")
    {
        RunRequest keyed;
        keyed.idempotency_key = "k";
        const auto first = world.try_run(Json::object(), keyed), second = world.try_run(Json::object(), keyed);
        CHECK(second->repeated);
        CHECK(second->job.uid == first->job.uid);
        CHECK(second->waiting_for == first->waiting_for);
        CHECK(open_in(world).size() == 2);
    }
    SECTION("approved, it goes to the agent that was free all the time, and its expiration begins")
    {
        CHECK(answer(world, open[0].id, true).verdict == Verdict::taken);
        REQUIRE(parking.answered());
        CHECK(parking.value().offers.at(0).id.job == accepted->job.uid);
        CHECK(has(world.line_of(accepted->job.uid), "approved"));
        CHECK(world.job(accepted->job.uid).expires == world.clock().now() + minutes(30));
        const Answered late = answer(world, open[0].id, false, {"role:operator"}, "user carl");
        CHECK(late.verdict == Verdict::answered);
        CHECK_THAT(late.why, Catch::Contains("user bob was first"));
        CHECK(late.question.answer == Json(true));
    }
    SECTION("refused, it is cancelled, with who and why")
    {
        CHECK(answer(world, open[0].id, false, kOperator, "user bob", "too dear").verdict == Verdict::taken);
        const JobRecord job = world.job(accepted->job.uid);
        CHECK(job.state == JobState::cancelled);
        CHECK(job.evidence["by"].as_string() == "user bob");
        CHECK(job.evidence["why"].as_string() == "too dear");
        CHECK(job.evidence["refused"].as_bool());
        CHECK_THAT(world.why(job.uid).summary, Catch::Contains("it was not approved, by user bob: too dear"));
        CHECK_FALSE(parking.answered());
    }
    SECTION("nobody answers for as long as it may wait: it expires, with words")
    {
        world.pass(minutes(119));
        CHECK(world.job(accepted->job.uid).state == JobState::ready);
        world.pass(minutes(1));
        const JobRecord job = world.job(accepted->job.uid);
        CHECK(job.state == JobState::expired);
        CHECK_THAT(world.why(job.uid).summary, Catch::Contains("the approval of role operator or user anna, which nobody gave within 2h"));
        const Answered late = answer(world, open[0].id, true);
        CHECK(late.verdict == Verdict::over);
        CHECK(late.question.state == QuestionState::expired);
    }
    SECTION("its time is over by the clock before the timer has seen it")
    {
        world.clock().advance(minutes(121));
        CHECK(answer(world, open[0].id, true).verdict == Verdict::over);
        CHECK_FALSE(parking.answered());
    }
    SECTION("cancelled, its question is asked no more")
    {
        REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(accepted->job.uid, "not needed", world.who, done); }));
        CHECK(open_in(world).empty());
        CHECK(answer(world, open[0].id, true).verdict == Verdict::over);
        CHECK(world.job(accepted->job.uid).state == JobState::cancelled);
    }
    SECTION("a restart forgets nothing")
    {
        world.restart();
        const Parking again = world.park(srv);
        CHECK_FALSE(again.answered());
        CHECK(world.codes(accepted->job.uid).front() == "approval");
        CHECK(answer(world, open[0].id, true).verdict == Verdict::taken);
        CHECK(again.answered());
    }
    SECTION("answers at once: one of them is taken")
    {
        std::vector<std::thread> people;
        std::vector<Verdict> verdicts(8);
        for (std::size_t i = 0; i < verdicts.size(); ++i)
            people.emplace_back([&, i] {
                const auto out = await<Answered>([&](auto done) {
                    world.core().answer_question({open[0].id, Json(i % 2 == 0), {}, "api", kOperator, {}, {}, {}}, {fmt::format("user p{}", i), {}}, done);
                });
                verdicts[i] = out->verdict;
            });
        for (auto& person : people) person.join();
        world.core().flush();
        CHECK(std::count(verdicts.begin(), verdicts.end(), Verdict::taken) == 1);
        CHECK(std::count(verdicts.begin(), verdicts.end(), Verdict::answered) == 7);
    }
}

TEST_CASE("nobody approves what he asked for, and only those who are named approve", "[core][questions]")
{
    World world;
    world.orders(kApproval);
    const JobRecord job = world.run();   // admin
    const std::string id = open_in(world).at(0).id;
    const Answered own = answer(world, id, true, {"role:operator", "role:admin"}, "admin");
    CHECK(own.verdict == Verdict::own);
    CHECK_THAT(own.why, Catch::Contains("somebody else has to answer"));
    const Answered viewer = answer(world, id, true, {"role:viewer", "user:carl", "token:t9"}, "user carl");
    CHECK(viewer.verdict == Verdict::not_asked);
    CHECK_THAT(viewer.why, Catch::Contains("role operator or user anna may"));
    CHECK(world.job(job.uid).state == JobState::ready);
    CHECK(answer(world, id, true, {"role:viewer", "user:anna"}, "user anna").verdict == Verdict::taken);
    SECTION("nor by having another one say it again")
    {
        REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
        const auto again = await<Accepted>([&](auto done) { world.core().retry(job.uid, false, {"user bob", {}}, done); });
        REQUIRE(again);
        REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(again->job.uid, "", world.who, done); }));
        const auto third = await<Accepted>([&](auto done) { world.core().retry(again->job.uid, false, {"user carl", {}}, done); });
        REQUIRE(third);
        CHECK_THAT(third->waiting_for, Catch::Contains("approval"));
        const std::string next = open_in(world).at(0).id;
        CHECK(answer(world, next, true, {"role:operator"}, "admin").verdict == Verdict::own);
        CHECK(answer(world, next, true, {"role:operator"}, "user bob").verdict == Verdict::own);
        CHECK(answer(world, next, true, {"role:operator"}, "user dora").verdict == Verdict::taken);
    }
}

TEST_CASE("an approval in the conversation needs another one than who started the job there", "[core][questions]")
{
    World world;
    world.orders(Json::object({{"approval", Json::object({{"by", Json::array({"conversation"})}, {"within", "2h"}})}}));
    RunRequest request;
    request.context = Json::object({{"conversationId", "C42"}, {"platform", "slack"}, {"user", Json::object({{"id", "U1"}})}});
    const JobRecord job = world.run(Json::object(), request);
    CHECK(open_in(world, "orders C43").empty());
    const auto open = open_in(world, "orders C42");
    REQUIRE(open.size() == 1);
    CHECK(answer(world, open[0].id, true, {"chat:U1", "conversation"}, "slack user U1").verdict == Verdict::own);
    CHECK(answer(world, open[0].id, true, {"conversation"}, "slack user").verdict == Verdict::own);
    CHECK(answer(world, open[0].id, true, {"role:admin", "role:operator"}, "user bob").verdict == Verdict::not_asked);
    // An event of a chat counts once, also when another question is open by the time it comes again.
    const auto say = [&](const std::string& id) {
        const auto said = await<Answered>([&](auto done) { world.core().answer_question({id, true, {}, "chat slack", {"chat:U2", "conversation"}, "orders\nchat slack", "Ev1", "sha"}, {"slack user U2", {}}, done); });
        REQUIRE(said);
        return said->verdict;
    };
    CHECK(say(open[0].id) == Verdict::taken);
    const JobRecord other = world.run(Json::object(), request);
    CHECK(say(open_in(world, "orders C42").at(0).id) == Verdict::known);
    CHECK(world.codes(other.uid).front() == "approval");
    CHECK(has(world.line_of(job.uid), "approved"));
}

TEST_CASE("waiting jobs that nobody approved yet go over to another version, and stay unapproved", "[core][questions]")
{
    World world;
    world.orders(kApproval);
    world.package("order-status", Json::object(), "1.3.0");
    const JobRecord job = world.run();
    const auto known = world.core().reader()->document("Deployment", "order-status");
    Json spec = known->spec;
    spec.set("package", "order-status@1.3.0");
    const auto moved = await<VersionMoved>([&](auto done) {
        world.core().move_deployment({.deployment = "order-status", .spec = spec, .generation = known->generation, .what = "rolled_forward", .why = {}, .rebind_waiting = true}, world.who, done);
    });
    REQUIRE(moved);
    CHECK(moved->rebound == 1);
    const Parking parking = world.park(world.agent("srv-1"));
    CHECK_FALSE(parking.answered());
    CHECK(answer(world, open_in(world).at(0).id, true).verdict == Verdict::taken);
    REQUIRE(parking.answered());
    CHECK(world.job(job.uid).package_version == "1.3.0");
}

TEST_CASE("a running attempt asks, and what comes of it is kept", "[core][questions]")
{
    World world;
    world.orders();
    const auto offered = world.offered();
    world.report(offered.agent, offered.id, {world.state(1, JobState::running)});
    AskRequest request{.id = new_uid(), .attempt = offered.id, .kind = QuestionKind::ask, .text = "How many?", .schema = Json::object({{"type", "integer"}}),
                       .by = Json::array({"role:operator"}), .not_requester = false, .within = minutes(5), .at_deadline = Json::object({{"answer", 3}})};
    const auto ask = [&](const AskRequest& what, const std::string& agent) { return await<QuestionRecord>([&](auto done) { world.core().ask(agent, what, done); }); };
    const auto asked = ask(request, offered.agent.id);
    REQUIRE(asked);
    CHECK(ask(request, offered.agent.id)->id == request.id);   // said again
    CHECK(open_in(world).size() == 1);
    SECTION("answered by whoever asked for the job, when that is not excluded")
    {
        CHECK(answer(world, request.id, 7, {"role:operator"}, "admin").verdict == Verdict::taken);
        CHECK(world.core().reader()->question(request.id)->answer == Json(7));
        CHECK(has(world.line_of(offered.job.uid), "question_answered"));
    }
    SECTION("nobody in time: what the asker said holds then")
    {
        world.pass(minutes(5));
        const auto question = world.core().reader()->question(request.id);
        CHECK(question->state == QuestionState::expired);
        CHECK(question->answer == Json(3));
        CHECK(has(world.line_of(offered.job.uid), "question_expired"));
    }
    SECTION("its job ends first")
    {
        world.report(offered.agent, offered.id, {world.state(2, JobState::failed, Reason::error)});
        CHECK(world.core().reader()->question(request.id)->state == QuestionState::withdrawn);
        CHECK(answer(world, request.id, 7).verdict == Verdict::over);
    }
    SECTION("an agent that does not run the attempt asks nothing")
    {
        request.id = new_uid();
        CHECK(ask(request, world.agent("srv-2").id).error().code == Errc::denied);
        ++request.attempt.attempt;
        CHECK(ask(request, offered.agent.id).error().code == Errc::denied);
    }
    SECTION("what is asked has its bounds")
    {
        request.id = new_uid();
        for (const auto& spoil : std::vector<std::function<void(AskRequest&)>>{[](auto& r) { r.text.clear(); }, [](auto& r) { r.text.assign(4001, 'x'); },
                                                                               [](auto& r) { for (int i = 0; i < 101; ++i) r.by.push("user:u" + std::to_string(i)); }, [](auto& r) { r.schema = Json("string"); },
                                                                               [](auto& r) { r.within = Milliseconds(0); }}) {
            AskRequest spoiled = request;
            spoil(spoiled);
            CHECK_FALSE(ask(spoiled, offered.agent.id));
        }
        for (std::size_t i = 1; i < kOpenQuestions; ++i) {
            request.id = new_uid();
            REQUIRE(ask(request, offered.agent.id));
        }
        request.id = new_uid();
        CHECK(ask(request, offered.agent.id).error().code == Errc::conflict);
    }
}

TEST_CASE("a notifier that listens to questions is told once, in the transaction that asks", "[core][questions]")
{
    std::vector<Notification> told;
    CoreOptions options;
    options.renderer = [&](const Notification& one) -> Result<Rendered> {
        told.push_back(one);
        return Rendered{true, Json::object({{"kind", "api"}})};
    };
    World world(options);
    world.orders(kApproval);
    world.put("Notifier", "asks", Json::object({{"trigger", "orders"}, {"on", Json::array({"question"})}, {"type", "api"}}));
    world.put("Notifier", "all", Json::object({{"trigger", "orders"}, {"on", "all"}, {"type", "api"}}));   // as an earlier program stored it
    const JobRecord job = world.run();
    REQUIRE(told.size() == 1);
    CHECK(told[0].event == "question");
    const Json& question = told[0].job["question"];
    CHECK(question["id"].as_string() == open_in(world).at(0).id);
    CHECK_THAT(question["text"].as_string(), Catch::Contains("May job " + job.uid + " of trigger 'orders' start? admin asked for it."));
    CHECK(question["by"].as_string() == "role operator or user anna");
    DeliveryQuery query;
    query.job = job.uid;
    const auto deliveries = world.core().reader()->deliveries(query);
    REQUIRE(deliveries->items.size() == 1);
    CHECK(deliveries->items[0].event == "question");
}

}  // namespace mill::factory::test
