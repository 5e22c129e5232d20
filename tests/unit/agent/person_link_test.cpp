// The link and the person: what the factory hears of consents, of the desktop, of starts; against a factory that the test plays.
#include "agent/person/at_person.h"
#include "protocol/canary.h"
#include "tests/unit/agent/agent_world.h"

using namespace mill;
using namespace mill::test;
using agent::AtPerson;
using agent::Changes;
using agent::PersonRules;
using agent::Told;

namespace {

Json asked_offer(const AttemptId& id = kJob)
{
    return offer_json(id).set("consent", Json::object({{"asker", "user otto"}, {"trigger", "d"}, {"title", "Report"}, {"description", ""}, {"expectedMs", Json()}}));
}

struct PersonWorld : AgentWorld {
    Changes changes{system_clock().now()};
    agent::Vitals vitals{system_clock()};
    std::mutex session_mutex;
    Json session = Json::object({{"state", "active"}});
    FactoryClient for_person{identity, config, tokens};
    std::unique_ptr<AtPerson> person;

    explicit PersonWorld(PersonRules rules = {})
    {
        const auto now = [this] {
            const std::scoped_lock lock(session_mutex);
            return session;
        };
        person = std::make_unique<AtPerson>(AtPerson::Parts{folder.path, std::move(rules), desk, system_clock(), changes, [now] { return Json::object({{"session", now()}, {"faces", Json::array()}}); }, now});
        factory.on("/agent/v1/person", [](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
            reply.body = R"({"user":"anna","version":7,"launchable":[{"trigger":"report","title":"Report"}],"questions":[{"id":"q1"}],"jobs":[]})";
            return true;
        });
    }
    void start()
    {
        link = std::make_unique<agent::Link>(agent::Link::Parts{identity, policy, system_clock(), tokens, client, *journal, desk, fetches,
                                                                [this](agent::Command command) { commands.send(std::move(command)); },
                                                                [this](const agent::Terms&) { ++subscribed; }, Json::object({{"cpus", 2}}), nullptr, {}, {}, {}, nullptr, person.get()});
        desk.set_on_change([this] { link->nudge(); });
        threads.emplace_back([this](std::stop_token stop) { link->run(stop); });
        threads.emplace_back([this, &vital = vitals.add("person")](std::stop_token stop) { person->run(for_person, vital, std::move(stop)); });
        factory.request("/agent/v1/offers");
    }
    void become(const char* state)
    {
        {
            const std::scoped_lock lock(session_mutex);
            session = Json::object({{"state", state}});
        }
        link->nudge();
    }
    /// The first poll that holds an answer of this word.
    Json answered(const std::string& word)
    {
        for (std::size_t n = 1; n < 50; ++n) {
            const Json poll = factory.request("/agent/v1/offers", n);
            for (const Json& answer : poll["answers"].as_array())
                if (answer["answer"].as_string() == word) return answer;
        }
        FAIL("no answer " << word);
        return {};
    }
    Told wait(const std::function<void(agent::Tell)>& call)
    {
        Mailbox<Told> came(1);
        call([&came](Told told) { came.send(std::move(told)); });
        auto told = came.receive_for(15s);
        REQUIRE(told);
        return *told;
    }
    ~PersonWorld()
    {
        desk.set_on_change({});
        threads.clear();
    }
};

}  // namespace

TEST_CASE("an offer that needs consent is asked about, holds its slot, and begins when the person says now", "[person]")
{
    PersonWorld world;
    world.start();
    const Json session = world.factory.request("/agent/v1/session");
    CHECK(session["knows"] == Json::array({"again", "person", "consent"}));
    CHECK(session["facts"]["session"]["state"] == Json("active"));
    CHECK(session["facts"]["cpus"] == Json(2));
    world.factory.offer(offers({asked_offer()}));
    const Json asking = world.answered("asking");
    CHECK(asking["job"] == Json(kJob.job));
    CHECK(parse_time(asking["until"].as_string()));
    CHECK_FALSE(world.commands.receive_for(100ms));   // nothing was taken
    CHECK(world.desk.holds(kJob));
    CHECK(world.desk.free() == 1);

    CHECK(world.person->choose(kJob.key(), "now", "anna").status == 200);
    const auto taken = world.command<agent::command::Take>();
    CHECK(taken.id == kJob);
    REQUIRE(world.fetches.receive_for(10s));
    const Json consented = world.answered("consented");
    CHECK(consented["by"] == Json("anna"));
    CHECK(consented["choice"] == Json("now"));
    CHECK(world.person->choose(kJob.key(), "now", "anna").status == 409);
}

TEST_CASE("who says later, or nothing, gives the slot back, and the factory hears who said what and until when", "[person]")
{
    const std::string choice = GENERATE("later", "not_today", "none");
    PersonRules rules;
    if (choice == "none") rules.within = Milliseconds(300);
    PersonWorld world(rules);
    world.start();
    world.factory.offer(offers({asked_offer()}));
    world.answered("asking");
    if (choice != "none") CHECK(world.person->choose(kJob.key(), choice, "anna").status == 200);
    const Json busy = world.answered("busy");
    CHECK(busy["consent"]["choice"] == Json(choice));
    CHECK(busy["consent"]["by"] == Json(choice == "none" ? "" : "anna"));
    CHECK(*parse_time(busy["consent"]["until"].as_string()) > system_clock().now());
    CHECK_FALSE(world.desk.holds(kJob));
    CHECK_FALSE(world.commands.receive_for(50ms));
    if (choice == "none") CHECK(world.person->choose(kJob.key(), "now", "anna").status == 410);
}

TEST_CASE("in quiet hours an offer is turned away at once; what the policy refuses nobody is asked about", "[person]")
{
    PersonRules rules;
    rules.quiet = {{0x7f, 0, 1439}, {0x7f, 1439, 0}};
    PersonWorld world(rules);
    SECTION("quiet")
    {
        world.start();
        world.factory.offer(offers({asked_offer()}));
        const Json busy = world.answered("busy");
        CHECK(busy["consent"]["choice"] == Json("none"));
        CHECK_THAT(busy["why"].as_string(), Catch::Contains("quiet hours"));
        CHECK(world.person->consents().list().empty());
    }
    SECTION("refused")
    {
        world.policy.signing.unsigned_packages = false;
        world.start();
        world.factory.offer(offers({asked_offer()}));
        world.command<agent::command::Take>();
        CHECK(world.command<agent::command::End>().cause.reason == Reason::refused);
    }
}

TEST_CASE("the policy of an attended agent holds whatever its factory says, but for the canary and what this person started", "[person]")
{
    PersonRules rules;
    rules.stated = true;
    const Json unasked = offer_json();   // no `consent`: of a factory of before, or one that does not want to be told no
    SECTION("never")
    {
        rules.jobs = PersonRules::Jobs::never;
        PersonWorld world(rules);
        world.start();
        world.factory.offer(offers({unasked}));
        CHECK_THAT(world.answered("busy")["why"].as_string(), Catch::Contains("jobs: never"));
        CHECK_FALSE(world.commands.receive_for(50ms));
        const AttemptId canary{"0192-canary", 1, 1};
        Json of_canary = offer_json(canary);
        of_canary.set("package", Json::object({{"name", protocol::kCanaryName}, {"version", protocol::kCanaryVersion}, {"digest", protocol::kCanaryDigest}}));
        world.factory.offer(offers({of_canary}));
        CHECK(world.command<agent::command::Take>().id == canary);
    }
    SECTION("nobody's agent, whose owner said nothing of it, does as the factory says")
    {
        PersonWorld world;
        world.factory.on("/agent/v1/person", [](const factory::HttpCall&, const Json&, factory::HttpReply&) { return false; });
        world.start();
        world.factory.offer(offers({unasked}));
        CHECK(world.command<agent::command::Take>().id == kJob);
    }
    SECTION("always")
    {
        rules.jobs = PersonRules::Jobs::always;
        PersonWorld world(rules);
        world.start();
        world.factory.offer(offers({unasked}));
        CHECK(world.command<agent::command::Take>().id == kJob);
    }
    SECTION("ask: the person is, and a factory that does not wait for it is told nothing that it does not know")
    {
        PersonWorld world(rules);
        world.start();
        world.factory.offer(offers({unasked}));
        REQUIRE(world.factory.until([&](auto&) { return world.person->consents().list().size() == 1; }));
        CHECK(world.person->consents().list()[std::size_t{0}]["asker"] == Json("somebody at the factory"));
        CHECK_FALSE(world.commands.receive_for(50ms));
        CHECK(world.person->choose(kJob.key(), "now", "anna").status == 200);
        CHECK(world.command<agent::command::Take>().id == kJob);
        world.factory.offer(Json::object());
        for (std::size_t n = 1; n <= world.factory.count("/agent/v1/offers"); ++n) CHECK(world.factory.request("/agent/v1/offers", n)["answers"].empty());
    }
    SECTION("a start of this person, as soon as it was made; another one's is asked about")
    {
        rules.jobs = PersonRules::Jobs::never;
        PersonWorld world(rules);
        world.factory.on("/agent/v1/person/launch", [](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
            reply.status = 202;
            reply.body = dump_json(Json::object({{"job", kJob.job}, {"state", "ready"}}));
            return true;
        });
        world.start();
        REQUIRE(world.factory.until([&](auto&) { return world.person->may_launch("report"); }));
        CHECK(world.wait([&](agent::Tell tell) { world.person->launch({"l1", "report", "", Json::object(), system_clock().now(), ""}, std::move(tell)); }).status == 200);
        world.factory.offer(offers({offer_json({"0192-other", 1, 1}).set("trigger", "report").set("launch", "l2"), offer_json().set("trigger", "report").set("launch", "l1")}));
        CHECK(world.command<agent::command::Take>().id == kJob);
        CHECK_FALSE(world.commands.receive_for(50ms));
    }
}

TEST_CASE("who said now and then paused, or stopped everything, sees nothing begin", "[person]")
{
    PersonWorld world;
    world.start();
    world.factory.offer(offers({asked_offer()}));
    world.answered("asking");
    world.slots.pause("paused by anna", std::nullopt);
    CHECK(world.person->choose(kJob.key(), "now", "anna").status == 200);
    CHECK_FALSE(world.commands.receive_for(100ms));
    SECTION("it begins when the pause is over")
    {
        world.slots.resume();
        CHECK(world.command<agent::command::Take>().id == kJob);
    }
    SECTION("after a stop it does not")
    {
        world.person->postpone("anna");
        world.slots.resume();
        CHECK(world.answered("busy")["consent"]["choice"] == Json("later"));
        CHECK_FALSE(world.commands.receive_for(50ms));
        CHECK_FALSE(world.desk.holds(kJob));
    }
}

TEST_CASE("the factory hears how the desktop is, when it changes and not again", "[person]")
{
    PersonWorld world;
    world.start();
    CHECK(world.factory.request("/agent/v1/offers")["knows"] == Json::array({"person"}));
    CHECK_FALSE(world.factory.request("/agent/v1/offers").contains("session"));   // it stood in the session's facts
    world.become("locked");
    CHECK(world.factory.request("/agent/v1/offers", 2)["session"]["state"] == Json("locked"));
    world.factory.offer(Json::object());
    CHECK_FALSE(world.factory.request("/agent/v1/offers", 3).contains("session"));
    world.become("active");
    CHECK(world.factory.request("/agent/v1/offers", 4)["session"]["state"] == Json("active"));
}

TEST_CASE("what may be started is fetched when a session begins and at the factory's word, and kept for when it is away", "[person]")
{
    PersonWorld world;
    world.start();
    world.factory.request("/agent/v1/person");
    CHECK(world.factory.until([&](auto&) { return world.person->may_launch("report"); }));
    CHECK(world.person->user() == "anna");
    CHECK(world.person->asks("q1"));
    world.factory.offer(Json::object({{"person", 7}}));
    world.factory.request("/agent/v1/offers", 2);
    world.factory.offer(Json::object({{"person", 8}}));
    world.factory.request("/agent/v1/person", 2);
    world.factory.request("/agent/v1/offers", 3);
    CHECK(world.factory.count("/agent/v1/person") == 2);   // 7 was known

    AtPerson again(AtPerson::Parts{world.folder.path, {}, world.desk, system_clock(), world.changes, [] { return Json(); }, [] { return Json(); }});
    CHECK(again.may_launch("report"));
    CHECK_FALSE(again.asks("q1"));
    CHECK(again.view()["launchable"][std::size_t{0}]["offline"] == Json(false));
}

TEST_CASE("a factory that knows no persons is asked once a session, and nothing can be started", "[person]")
{
    PersonWorld world;
    world.factory.on("/agent/v1/person", [](const factory::HttpCall&, const Json&, factory::HttpReply&) { return false; });   // 404
    world.start();
    world.factory.request("/agent/v1/person");
    CHECK(world.wait([&](agent::Tell tell) { world.person->launch({"l1", "report", "", Json::object(), {}, ""}, std::move(tell)); }).status == 404);
    CHECK(world.factory.count("/agent/v1/person") == 1);
}

TEST_CASE("a start goes to the factory; its refusals come back with their mistakes; while it is away the start waits and is handed over once", "[person]")
{
    std::atomic<int> mode = 0, launches = 0;   // 0 well, 1 refused, 2 away
    PersonWorld world;
    world.factory.on("/agent/v1/person/launch", [&](const factory::HttpCall&, const Json& body, factory::HttpReply& reply) {
        ++launches;
        if (mode == 1) {
            reply.status = 400;
            reply.body = R"({"type":"urn:millwright:problem:invalid_input","status":400,"detail":"'order' is missing","mistakes":[{"path":"/order","text":"is missing"}]})";
        } else if (mode == 2) {
            reply.status = 503;
            reply.body = "{}";
        } else {
            reply.status = 202;
            reply.body = dump_json(Json::object({{"job", "job-of-" + body["id"].as_string()}, {"state", "ready"}}));
        }
        return true;
    });
    world.start();
    REQUIRE(world.factory.until([&](auto&) { return world.person->may_launch("report"); }));
    const auto launch = [&](const char* id) {
        return world.wait([&](agent::Tell tell) { world.person->launch({id, "report", "", Json::object({{"month", 3}}), system_clock().now(), ""}, std::move(tell)); });
    };
    const Told well = launch("l1");
    CHECK(well.status == 200);
    CHECK(well.body["job"] == Json("job-of-l1"));
    CHECK(well.body["queued"] == Json(false));
    CHECK(world.person->launches().is_mine("job-of-l1"));
    CHECK(world.factory.request("/agent/v1/person/launch")["input"] == Json::object({{"month", 3}}));
    mode = 1;
    const Told refused = launch("l2");
    CHECK(refused.status == 400);
    CHECK(refused.body["detail"] == Json("'order' is missing"));
    CHECK(refused.body["mistakes"][std::size_t{0}]["path"] == Json("/order"));
    CHECK(world.wait([&](agent::Tell tell) { world.person->launch({"l9", "other", "", Json(), {}, ""}, std::move(tell)); }).status == 404);

    mode = 2;
    const Told kept = launch("l3");
    CHECK(kept.status == 200);
    CHECK(kept.body["queued"] == Json(true));
    CHECK(kept.body["job"].is_null());
    mode = 0;
    CHECK(world.factory.until([&](auto&) { return world.person->launches().is_mine("job-of-l3"); }));
    CHECK(world.person->launches().empty());
    const int before = launches;
    world.person->online(false, "gone");
    CHECK(launch("l4").body["queued"] == Json(true));
    CHECK(launches == before);                     // nobody was asked
    world.person->online(true, "");
    CHECK(world.factory.until([&](auto&) { return world.person->launches().is_mine("job-of-l4"); }));
    CHECK(launches == before + 1);
}

TEST_CASE("answers are passed on, and what the factory says to them; while it is away they are not taken", "[person]")
{
    PersonWorld world;
    world.factory.on("/agent/v1/person/answer", [&](const factory::HttpCall&, const Json& body, factory::HttpReply& reply) {
        if (body["question"] == Json("q1")) {
            reply.body = "{}";
        } else {
            reply.status = 409;
            reply.body = R"({"type":"urn:millwright:problem:answered","status":409,"detail":"otto was first","question":{"answeredBy":"otto","by":["user:anna","user:otto"]}})";
        }
        return true;
    });
    world.start();
    REQUIRE(world.factory.until([&](auto&) { return world.person->is_online(); }));
    const auto answer = [&](const char* question) {
        return world.wait([&](agent::Tell tell) { world.person->answer(question, Json(true), "fine", std::move(tell)); });
    };
    CHECK(answer("q1").status == 200);
    CHECK(world.factory.request("/agent/v1/person/answer")["comment"] == Json("fine"));
    const Told late = answer("q2");
    CHECK(late.status == 409);
    CHECK(late.body["detail"] == Json("otto was first"));
    CHECK(late.body["code"] == Json("answered"));
    CHECK(late.body["by"] == Json("otto"));
    world.person->online(false, "the line is cut");
    const Told away = answer("q1");
    CHECK(away.status == 503);
    CHECK(away.body["code"] == Json("factory_away"));
    CHECK_THAT(away.body["detail"].as_string(), Catch::Contains("the line is cut"));
}
