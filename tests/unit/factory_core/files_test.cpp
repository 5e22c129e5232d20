// Triggers of files: who is told to watch for what, and that a file is one job.
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

void inbox(World& world, Json file = Json::object({{"agent", "srv-*"}}), const std::string& name = "inbox")
{
    file.set("path", "/srv/in/*.csv").set("settled", "5s").set("settledMs", 5000);
    world.put("Trigger", name, Json::object({{"deployment", "order-status"}, {"type", "event"}, {"event", Json::object({{"file", std::move(file)}, {"input", "${ .file }"}})}}));
}

Parking park(World& world, const AgentRecord& agent, std::optional<std::string> has)
{
    Poll poll;
    poll.agent = agent.id;
    poll.want = 1;
    poll.files = std::move(has);
    Parking out;
    out.ticket = world.core().park(std::move(poll), [answer = out.answer](Result<PollAnswer> result) { *answer = std::move(result); });
    world.core().flush();
    return out;
}

Result<FileSource> source(World& world, const AgentRecord& agent, std::uint64_t inode = 1, const std::string& trigger = "inbox")
{
    return await<FileSource>([&](auto done) { world.core().file_source(agent.id, {trigger, "/srv/in/a.csv", inode, 3, {1'700'000'000'000'000}}, done); });
}

std::vector<FileStanding> standing(World& world)
{
    auto out = await<std::vector<FileStanding>>([&](auto done) { world.core().trigger_files("inbox", done); });
    REQUIRE(out);
    return *out;
}

}  // namespace

TEST_CASE("an agent is told what to watch for once, and again when that changes", "[core][files]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1"), other = world.agent("lap-1");
    auto parking = park(world, srv, "");
    CHECK_FALSE(parking.answered());          // nothing to watch for
    const auto older = world.park(other), unfit = park(world, other, "");
    inbox(world);
    world.core().flush();
    REQUIRE(parking.answered());
    const Json list = parking.value().files;
    REQUIRE(list["watches"].size() == 1);
    CHECK(list["watches"].as_array()[0]["path"].as_string() == "/srv/in/*.csv");
    CHECK(list["watches"].as_array()[0]["settledMs"].as_integer() == 5000);
    CHECK_FALSE(unfit.answered());            // its name does not fit
    REQUIRE(park(world, srv, "").answered());   // what it has not said yet that it has is told again
    parking = park(world, srv, list["version"].as_string());
    CHECK_FALSE(parking.answered());
    CHECK(standing(world).size() == 1);
    REQUIRE(await<Nothing>([&](auto done) { world.core().delete_document("Trigger", "inbox", world.who, done); }));
    world.core().flush();
    REQUIRE(parking.answered());
    CHECK(parking.value().files["watches"].empty());
    CHECK(parking.value().files["version"].as_string().empty());
}

TEST_CASE("only an agent of the trigger's environment that is to watch reports files", "[core][files]")
{
    World world;
    world.orders();
    inbox(world);
    const auto srv = world.agent("srv-1"), strange = world.agent("srv-2", "test"), unapproved = world.agent("srv-3", "prod", protocol::AgentMode::unattended, Json::object(), false);
    CHECK(source(world, srv));
    CHECK(source(world, strange).error().code == Errc::denied);
    CHECK(source(world, unapproved).error().code == Errc::denied);
    CHECK(source(world, srv, 1, "orders").error().code == Errc::denied);
}

TEST_CASE("what is reported is a file that the trigger looks for", "[core][files]")
{
    World world;
    world.orders();
    inbox(world);
    const auto srv = world.agent("srv-1");
    const auto report = [&](const std::string& path) { return await<FileSource>([&](auto done) { world.core().file_source(srv.id, {"inbox", path, 1, 3, {1'700'000'000'000'000}}, done); }); };
    CHECK(report("/srv/in/b.csv"));
    for (const char* wrong : {"/srv/in/../secret/b.csv", "/srv/in/deep/b.csv", "/srv/in/./b.csv", "/srv//in/b.csv", "/srv/in/b.txt", "/srv/in/.b.csv", "/srv/in/..", "/srv/in/", "/etc/b.csv", "b.csv", "/srv/in/b\n.csv",
                              "/srv/in/\x7f.csv", "/srv/in/a/../b.csv"}) {
        INFO(wrong);
        const auto refused = report(wrong);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Errc::invalid);
    }
}

TEST_CASE("whoever drops a file at their own agent does not approve what it starts", "[core][files][questions]")
{
    World world;
    world.orders();
    inbox(world);
    world.put("Trigger", "inbox", Json::object({{"deployment", "order-status"}, {"type", "event"}, {"approval", Json::object({{"by", Json::array({"user:anna", "user:otto"})}, {"within", "1h"}})},
                                                {"event", Json::object({{"file", Json::object({{"agent", "srv-*"}, {"path", "/srv/in/*.csv"}, {"settledMs", 5000}})}})}}));
    const auto srv = world.agent("srv-1");
    AgentPatch patch;
    patch.user = "anna";
    REQUIRE(await<AgentRecord>([&](auto done) { world.core().set_agent("srv-1", patch, world.who, done); }));
    const auto from = source(world, srv);
    REQUIRE(from);
    CHECK(from->user == "anna");
    RunRequest request;
    request.trigger = "inbox";
    request.uid = from->job;
    request.agent = from->agent;
    request.context = Json::object({{"event", Json::object({{"user", from->user}})}});
    const auto made = await<Accepted>([&](auto done) { world.core().accept_run(request, {"agent srv-1", {}}, done); });
    REQUIRE(made);
    QuestionQuery query;
    query.job = made->job.uid;
    const auto questions = world.core().reader()->questions(query);
    REQUIRE(questions);
    REQUIRE(questions->items.size() == 1);
    const auto answer = [&](const std::string& name) {
        QuestionAnswer said;
        said.question = questions->items.front().id;
        said.answer = true;
        said.way = "desktop";
        said.names = {"user:" + name};
        return await<Answered>([&](auto done) { world.core().answer_question(said, {"user " + name, {}}, done); });
    };
    CHECK(answer("anna")->verdict == Answered::Verdict::own);
    CHECK(answer("otto")->verdict == Answered::Verdict::taken);
}

TEST_CASE("a group of the environment may be who watches", "[core][files]")
{
    World world;
    world.orders();
    world.put("Environment", "prod", Json::object({{"agents", Json::array({"*"})}, {"groups", Json::array({Json::object({{"name", "gate"}, {"agents", Json::array({"gate-*"})}})})}}));
    inbox(world, Json::object({{"group", "gate"}}));
    CHECK(source(world, world.agent("gate-1")));
    CHECK_FALSE(source(world, world.agent("srv-1")));
}

TEST_CASE("the same file is the same job however often and late it is said, another one is another, and it runs where the file is", "[core][files]")
{
    World world;
    world.orders();
    inbox(world);
    const auto one = world.agent("srv-1"), two = world.agent("srv-2");
    const auto first = source(world, one);
    REQUIRE(first);
    CHECK(first->agent == "srv-1");
    CHECK(source(world, one)->job == first->job);
    CHECK(source(world, one, 2)->job != first->job);
    CHECK(source(world, two)->job != first->job);   // a file of that name on another machine
    RunRequest request;
    request.trigger = "inbox";
    request.uid = first->job;
    request.agent = "srv-1";
    const auto elsewhere = world.park(two);
    const auto job = world.run(Json::object(), request);
    CHECK(job.uid == first->job);
    CHECK_FALSE(elsewhere.answered());
    world.restart();
    world.pass(std::chrono::hours(50));   // longer than keys are kept
    const auto again = world.try_run(Json::object(), request);
    REQUIRE(again);
    CHECK(again->repeated);
    CHECK(again->job.uid == first->job);
    const auto here = world.park(one);
    REQUIRE(here.answered());
    CHECK(here.value().offers.at(0).id.job == first->job);
}

TEST_CASE("how watches stand is told of each agent: what is wrong, who is too old, who has said nothing", "[core][files]")
{
    World world;
    world.orders();
    inbox(world);
    const auto one = world.agent("srv-1"), two = world.agent("srv-2"), three = world.agent("srv-3");
    park(world, one, "");
    world.park(two);
    REQUIRE(await<Nothing>([&](auto done) { world.core().say_files(one.id, {{.trigger = "inbox", .problem = "/srv/in does not exist"}}, done); }));
    const auto all = standing(world);
    REQUIRE(all.size() == 3);
    CHECK(all[0].problem == "srv-1: /srv/in does not exist");
    CHECK(all[0].said);
    CHECK_THAT(all[1].problem, Catch::Contains("srv-2 is of a version that watches for no files"));
    CHECK((!all[2].online && all[2].problem.empty() && !all[2].said));
    REQUIRE(await<Nothing>([&](auto done) { world.core().say_files(one.id, {{.trigger = "inbox", .problem = ""}}, done); }));
    CHECK(standing(world)[0].problem.empty());
}
