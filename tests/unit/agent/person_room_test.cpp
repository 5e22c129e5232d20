// DIR/person as its faces see it: routes, stop, what was seen of jobs.
#include "tests/unit/agent/room_world.h"

using namespace mill;
using namespace mill::test;
using namespace mill::agent;

TEST_CASE("the whole of what a person sees, and a number that grows with every change of it", "[room]")
{
    RoomWorld world;
    const Json before = world.get("/v1/person");
    CHECK(before["agent"]["name"] == Json("pc-1"));
    CHECK(before["agent"]["state"] == Json("offline"));
    CHECK(before["running"].empty());
    CHECK(before["paused"].is_null());
    CHECK(before["stop"].is_null());
    for (const char* list : {"launchable", "questions", "consents", "tells", "history", "queued", "faces"}) CHECK(before[list].is_array());
    world.run(kJob);
    world.event(kJob, 2, protocol::EventKind::step, Json::object({{"task", "/do/0/look-up"}, {"name", "look-up"}, {"type", "call"}, {"state", "started"}}));
    world.event(kJob, 3, protocol::EventKind::log, Json::object({{"level", "info"}, {"text", "progress: {\"percent\":50,\"text\":\"half\"}"}}));
    world.event(kJob, 4, protocol::EventKind::log, Json::object({{"level", "warning"}, {"text", "slow today"}}));
    const Json now = world.get("/v1/person");
    CHECK(now["version"].as_integer() > before["version"].as_integer());
    const Json& running = now["running"][std::size_t{0}];
    CHECK(running["title"] == Json("Report"));
    CHECK(running["for"] == Json("user otto"));
    CHECK(running["mine"] == Json(false));
    CHECK(running["state"] == Json("running"));
    CHECK(running["step"] == Json("look-up"));
    CHECK(running["progress"] == Json::object({{"percent", 50}, {"text", "half"}}));
    const Json job = world.get("/v1/jobs/" + kJob.job);
    CHECK(job["log"].size() == 1);
    CHECK(job["log"][std::size_t{0}]["text"] == Json("slow today"));
    CHECK(job["steps"][std::size_t{0}]["state"] == Json("started"));
    world.event(kJob, 5, protocol::EventKind::state, Json::object({{"state", "successful"}, {"reason", "completed"}, {"output", Json::object({{"made", "/srv/reports/a.csv"}, {"not", "/etc/passwd"}})}}));
    world.seen.released(kJob);
    const Json after = world.get("/v1/person");
    CHECK(after["running"].empty());
    CHECK(after["history"][std::size_t{0}]["state"] == Json("successful"));
    CHECK(after["history"][std::size_t{0}]["mine"] == Json(false));
    CHECK(after["history"][std::size_t{0}]["files"] == Json::array({"/srv/reports/a.csv"}));
    CHECK(world.ask("GET", "/v1/jobs/other").status == 404);
}

TEST_CASE("GET changes answers at once when something changed, and else at the next change or after its time", "[room]")
{
    RoomWorld world;
    const std::int64_t version = world.changes.version();
    CHECK(world.get("/v1/changes?after=0")["version"] == Json(version));
    CHECK(world.get("/v1/changes")["version"] == Json(version));
    CHECK(world.get("/v1/changes?after=" + std::to_string(version + 1000))["version"] == Json(version));   // of another run of the agent
    std::vector<std::string> came;
    const auto park = [&] {
        world.handler({"GET", "/v1/changes?after=" + std::to_string(world.changes.version()), "", "anna", {}, {}}, [&](platform::LocalResponse response) { came.push_back(response.body); });
    };
    park();
    CHECK(came.empty());
    world.run(kJob);
    REQUIRE(came.size() == 1);
    CHECK((*parse_json(came[0]))["version"].as_integer() > version);
    park();
    world.clock.advance(std::chrono::seconds(24));
    world.changes.give_up(world.clock.steady());
    CHECK(came.size() == 1);
    world.clock.advance(std::chrono::seconds(1));
    world.changes.give_up(world.clock.steady());
    CHECK(came.size() == 2);
    CHECK_FALSE(world.changes.next());
    CHECK(world.ask("GET", "/v1/changes?after=x").status == 400);
    CHECK(world.ask("GET", "/v1/changes?before=1").status == 400);
}

TEST_CASE("of two factories the one that is meant gets the start and the answer", "[room]")
{
    RoomWorld world;
    TemporaryFolder first, second;
    const auto person = [&](const std::string& folder, const char* triggers) {
        REQUIRE(platform::write_file(folder + "/person.json", std::string(R"({"user":"anna","version":1,"launchable":)") + triggers + "}"));
        return std::make_unique<AtPerson>(AtPerson::Parts{folder, {}, world.desk, world.clock, world.changes, [] { return Json(); }, [] { return Json(); }});
    };
    const auto one = person(first.path, R"([{"trigger":"report"},{"trigger":"only"}])"), two = person(second.path, R"([{"trigger":"report"}])");
    world.room.serve({{one.get(), "pc-1", "https://one.example"}, {two.get(), "pc-1", "https://two.example"}});
    CHECK(world.get("/v1/person")["launchable"][std::size_t{2}]["factory"] == Json("https://two.example"));
    const auto ambiguous = world.ask("POST", "/v1/launch", R"({"trigger":"report","id":"l1"})");
    CHECK(ambiguous.status == 409);
    CHECK_THAT(ambiguous.body, Catch::Contains("`factory`"));
    CHECK(one->launches().empty());
    CHECK(two->launches().empty());
    CHECK(world.ask("POST", "/v1/launch", R"({"trigger":"report","id":"l2","factory":"https://two.example"})").status == 200);
    CHECK(one->launches().empty());
    CHECK(two->launches().waiting().size() == 1);
    CHECK(world.ask("POST", "/v1/launch", R"({"trigger":"only","id":"l3"})").status == 200);
    CHECK(one->launches().waiting().size() == 1);
    CHECK(world.ask("POST", "/v1/launch", R"({"trigger":"only","id":"l4","factory":"https://two.example"})").status == 404);
    CHECK(world.ask("POST", "/v1/launch", R"({"trigger":"report","id":"l5","factory":"https://three.example"})").status == 404);
    CHECK(world.ask("POST", "/v1/questions/q1", R"({"answer":true,"factory":"https://two.example"})").status == 410);
}

TEST_CASE("a stop sends back what waits for a word, and what got it and has not begun", "[room]")
{
    RoomWorld world;
    const Json json = offer_json().set("consent", Json::object({{"asker", "user otto"}, {"title", "Report"}}));
    REQUIRE(world.desk.take({kJob}));
    CHECK(world.person.hear(*protocol::parse_offer(json), json) == Beside::Word::asking);
    if (GENERATE(true, false)) CHECK(world.ask("POST", "/v1/consents/" + kJob.key(), R"({"choice":"now"})").status == 200);
    CHECK(world.ask("POST", "/v1/stop", R"({"way":"key"})").status == 200);
    CHECK(world.get("/v1/person")["consents"].empty());
    CHECK(world.person.granted().empty());
    CHECK_FALSE(world.desk.holds(kJob));
    CHECK(world.ask("POST", "/v1/consents/" + kJob.key(), R"({"choice":"now"})").status == 409);
}

TEST_CASE("stop: new jobs are held off, then all that runs is cancelled, and only then is anything written", "[room]")
{
    RoomWorld world;
    const AttemptId other{"0192-other", 1, 2};
    world.run(kJob);
    world.run(other);
    const auto response = world.ask("POST", "/v1/stop", R"({"way":"key"})");
    CHECK(response.status == 200);
    CHECK((*parse_json(response.body))["stopped"].size() == 2);
    CHECK(world.order == std::vector<std::string>{"hold", "cancel", "cancel", "disk"});
    const auto& cancel = std::get<command::Cancel>(world.said.front());
    CHECK(cancel.by == "user anna");
    CHECK(cancel.why == "stopped at the desktop (key)");
    REQUIRE(world.pause);
    CHECK(world.pause->until == world.clock.now() + Microseconds(60'000'000));
    CHECK(world.get("/v1/person")["running"][std::size_t{0}]["state"] == Json("cancelling"));
    CHECK(world.get("/v1/person")["paused"]["by"] == Json("anna"));
    SECTION("a pause that holds longer is left alone")
    {
        world.pause = Pause{"root", "repairs", world.clock.now(), std::nullopt};
        CHECK(world.ask("POST", "/v1/stop").status == 200);
        CHECK(world.pause->by == "root");
    }
    SECTION("whatever stands in its body: a stop is no form")
    {
        CHECK(world.ask("POST", "/v1/stop", "{{{").status == 200);
        CHECK(world.ask("POST", "/v1/stop", R"({"way":"a\nforged line","more":1})").status == 200);
        CHECK(std::get<command::Cancel>(world.said.back()).why == "stopped at the desktop (socket)");
    }
}

TEST_CASE("pause, resume, one job's cancel", "[room]")
{
    RoomWorld world;
    CHECK(world.ask("POST", "/v1/pause", R"({"for":"1h"})").status == 200);
    CHECK(world.pause->until == world.clock.now() + Microseconds(3'600'000'000));
    CHECK(world.ask("POST", "/v1/pause", "{}").status == 200);
    CHECK_FALSE(world.pause->until);
    CHECK(world.ask("POST", "/v1/resume", "{}").status == 200);
    CHECK_FALSE(world.pause);
    CHECK(world.ask("POST", "/v1/pause", R"({"for":"soon"})").status == 400);
    CHECK(world.ask("POST", "/v1/pause", R"({"for":"1h","until":"2030-01-01T00:00:00Z"})").status == 400);
    CHECK(world.ask("POST", "/v1/pause", R"({"until":"2000-01-01T00:00:00Z"})").status == 400);
    CHECK(world.ask("POST", "/v1/pause", R"({"untill":"2030-01-01T00:00:00Z"})").status == 400);
    CHECK(world.ask("POST", "/v1/jobs/" + kJob.job + "/cancel", "{}").status == 404);
    world.run(kJob);
    CHECK(world.ask("POST", "/v1/jobs/" + kJob.job + "/cancel", R"({"why":"wrong month"})").status == 200);
    CHECK(std::get<command::Cancel>(world.said.back()).why == "wrong month");
    world.event(kJob, 2, protocol::EventKind::state, Json::object({{"state", "cancelled"}, {"reason", "cancelled_by"}}));
    CHECK(world.ask("POST", "/v1/jobs/" + kJob.job + "/cancel", "{}").status == 409);
}

TEST_CASE("consents are answered here, and a face's word is kept while its process lives", "[room]")
{
    RoomWorld world;
    const Json json = offer_json().set("consent", Json::object({{"asker", "user otto"}, {"title", "Report"}}));
    REQUIRE(world.desk.take({kJob}));
    CHECK(world.person.hear(*protocol::parse_offer(json), json) == Beside::Word::asking);
    CHECK(world.get("/v1/person")["consents"][std::size_t{0}]["id"] == Json(kJob.key()));
    CHECK(world.ask("POST", "/v1/consents/" + kJob.key(), R"({"choice":"perhaps"})").status == 400);
    CHECK(world.ask("POST", "/v1/consents/other", R"({"choice":"now"})").status == 404);
    CHECK(world.ask("POST", "/v1/consents/" + kJob.key(), R"({"choice":"later"})").status == 200);
    CHECK(world.ask("POST", "/v1/consents/" + kJob.key(), R"({"choice":"now"})").status == 409);
    CHECK_FALSE(world.desk.holds(kJob));

    const std::string us = std::to_string(platform::process_number());
    CHECK(world.ask("POST", "/v1/faces", R"({"kind":"companion","pid":)" + us + R"(,"notifications":true,"tray":false,"stopKey":"Ctrl+Alt+Pause","page":null,"problems":["no tray"],"later":1})").status == 200);
    CHECK(world.get("/v1/person")["stop"]["key"] == Json("Ctrl+Alt+Pause"));
    CHECK(world.room.about()["faces"][std::size_t{0}]["problems"] == Json::array({"no tray"}));
    CHECK(world.room.facts()["faces"] == Json::array({"companion"}));
    CHECK(world.ask("POST", "/v1/faces", R"({"kind":"companion","pid":2147483646,"stopKey":"F12"})").status == 200);   // it is gone already
    CHECK(world.get("/v1/person")["stop"].is_null());
    CHECK(world.ask("POST", "/v1/faces", R"({"kind":"companion"})").status == 400);

    world.room.tell(Json::object({{"id", "t1"}, {"text", "done"}}));
    CHECK(world.get("/v1/person")["tells"].size() == 1);
    CHECK(world.ask("POST", "/v1/tells/t1", "{}").status == 200);
    CHECK(world.get("/v1/person")["tells"].empty());
    CHECK(world.ask("POST", "/v1/tells/t2", "{}").status == 404);
}

TEST_CASE("a face says where it stands, and a display of another machine is none", "[room]")
{
    RoomWorld world;
    const std::string us = std::to_string(platform::process_number());
    const auto say = [&](const std::string& display) { return world.ask("POST", "/v1/faces", R"({"kind":"companion","pid":)" + us + R"(,"display":")" + display + R"(","authority":"/run/x"})").status; };
    for (const char* elsewhere : {"", "localhost:10.0", "tcp/evil:0", ":", ":0/../../x", "0"}) CHECK(say(elsewhere) == 200);
    CHECK(world.places.empty());
    CHECK(say(":0") == 200);
    REQUIRE(world.places.size() == 1);
    CHECK(world.places.front().display == ":0");
    CHECK(world.places.front().authority == "/run/x");
}

TEST_CASE("what is refused has a code that faces have words for", "[room]")
{
    RoomWorld world;
    CHECK(world.code("/v1/launch", R"({"trigger":"x"})") == "unknown");
    CHECK(world.code("/v1/launch", R"({"trigger":"x","inputs":{}})") == "invalid_request");
    CHECK(world.code("/v1/questions/q1", R"({"answer":true})") == "expired");
    CHECK(world.code("/v1/tells/t1", "{}") == "expired");
    CHECK(world.code("/v1/jobs/" + kJob.job + "/cancel", "{}") == "unknown");
    CHECK(world.code("/v1/stop", "{}", 12345) == "not_your_agent");
    const Json json = offer_json().set("consent", Json::object({{"asker", "user otto"}, {"title", "Report"}}));
    REQUIRE(world.desk.take({kJob}));
    CHECK(world.person.hear(*protocol::parse_offer(json), json) == Beside::Word::asking);
    CHECK(world.code("/v1/consents/other", R"({"choice":"now"})") == "expired");
    CHECK(world.ask("POST", "/v1/consents/" + kJob.key(), R"({"choice":"later"})").status == 200);
    CHECK(world.code("/v1/consents/" + kJob.key(), R"({"choice":"now"})") == "answered");
    world.run(kJob);
    world.event(kJob, 2, protocol::EventKind::state, Json::object({{"state", "successful"}}));
    CHECK(world.code("/v1/jobs/" + kJob.job + "/cancel", "{}") == "over");
}

TEST_CASE("wrong calls are told what is right, and another user gets nothing", "[room]")
{
    RoomWorld world;
    CHECK(world.ask("GET", "/v1/nothing").status == 404);
    CHECK(world.ask("GET", "/v2/person").status == 404);
    CHECK(world.ask("GET", "/").status == 404);
    CHECK(world.ask("GET", "").status == 404);
    CHECK(world.ask("POST", "/v1/person", "{}").status == 405);
    CHECK(world.ask("GET", "/v1/stop").status == 405);
    CHECK(world.ask("POST", "/v1/launch", "no JSON").status == 400);
    CHECK(world.ask("POST", "/v1/launch", "[]").status == 400);
    CHECK(world.ask("POST", "/v1/launch", R"({"trigger":"x","id":"../../x"})").status == 400);
    CHECK(world.ask("POST", "/v1/launch", R"({"trigger":"x","inputs":{}})").status == 400);
    CHECK(world.ask("POST", "/v1/launch", R"({"trigger":"x"})").status == 404);
    CHECK(world.ask("GET", "/v1/jobs/a%2Fb").status == 404);
    CHECK(world.ask("POST", "/v1/questions/q1", R"({"comment":"x"})").status == 400);
    CHECK(world.ask("POST", "/v1/questions/q1", R"({"answer":true})").status == 410);   // and sent nowhere
    for (const char* target : {"/v1/person", "/v1/changes"}) CHECK(world.ask("GET", target, "", 12345).status == 403);
    CHECK(world.ask("POST", "/v1/stop", "", 12345).status == 403);
    CHECK(world.said.empty());
    CHECK(world.ask("GET", "/v1/person", "", 0).status == 200);
}

TEST_CASE("what a job asks and tells goes its way, and the person sees what concerns them", "[room]")
{
    RoomWorld world;
    world.run(kJob);
    world.seen.ask(kJob, Json::object());
    world.seen.waits(kJob, true);
    REQUIRE(world.seen.keep(kJob, 3, Json::object()));
    CHECK(world.get("/v1/person")["running"][std::size_t{0}]["state"] == Json("waiting"));
    world.seen.unask(kJob, "q", "");
    world.seen.heard(kJob, "q");
    world.seen.waits(kJob, false);
    CHECK(world.get("/v1/person")["running"][std::size_t{0}]["state"] == Json("running"));
    world.seen.told(kJob, {4, world.clock.now(), protocol::EventKind::log, Json::object({{"level", "info"}, {"text", "12 rows are done"}, {"tell", true}})});
    const Json tells = world.get("/v1/person")["tells"];
    REQUIRE(tells.size() == 1);
    CHECK(tells[std::size_t{0}]["text"] == Json("12 rows are done"));
    CHECK(tells[std::size_t{0}]["title"] == Json("Report"));
    CHECK(tells[std::size_t{0}]["job"] == Json(kJob.job));
    CHECK(world.nothing.passed == std::vector<std::string>{"ask", "waits", "keep", "unask", "heard", "waits", "told"});
    CHECK(world.ask("POST", "/v1/tells/" + tells[std::size_t{0}]["id"].as_string(), "{}").status == 200);
    CHECK(world.get("/v1/person")["tells"].empty());
}

TEST_CASE("what ran before this start is shown from the journal", "[room]")
{
    RoomWorld world;
    auto journal = Journal::open(world.folder.path + "/journal", world.clock);
    REQUIRE(journal);
    REQUIRE((*journal)->take(kJob, dump_json(offer_json())));
    REQUIRE((*journal)->start(kJob, protocol::state_event(1, world.clock.now(), JobState::running), SteadyTime{1}));
    REQUIRE((*journal)->add(kJob, {2, world.clock.now(), protocol::EventKind::log, Json::object({{"level", "info"}, {"text", "hello"}})}));
    const AttemptId over{"0192-over", 1, 1};
    REQUIRE((*journal)->take(over, dump_json(offer_json(over))));
    REQUIRE((*journal)->start(over, protocol::state_event(1, world.clock.now(), JobState::running), SteadyTime{1}));
    REQUIRE((*journal)->add(over, protocol::state_event(2, world.clock.now(), JobState::failed, Reason::error)));
    REQUIRE((*journal)->sync());
    REQUIRE((*journal)->acknowledge(over, 2));
    world.seen.remember(**journal);
    const Json now = world.get("/v1/person");
    REQUIRE(now["running"].size() == 1);
    CHECK(now["running"][std::size_t{0}]["job"] == Json(kJob.job));
    REQUIRE(now["history"].size() == 1);
    CHECK(now["history"][std::size_t{0}]["state"] == Json("failed"));
    CHECK(world.get("/v1/jobs/" + kJob.job)["log"][std::size_t{0}]["text"] == Json("hello"));
}

TEST_CASE("the newest jobs and lines are kept, the older ones make way", "[room]")
{
    RoomWorld world;
    for (int i = 0; i < 30; ++i) {
        const AttemptId id{"job-" + std::to_string(i), 1, 1};
        world.run(id);
        world.clock.advance(std::chrono::seconds(1));
        world.event(id, 2, protocol::EventKind::state, Json::object({{"state", "successful"}, {"reason", "completed"}}));
    }
    CHECK(world.seen.ended().size() == SeenJobs::kMostJobs);
    CHECK(world.seen.ended()[std::size_t{0}]["job"] == Json("job-29"));
    CHECK_FALSE(world.seen.job("job-0"));
    const AttemptId busy{"busy", 1, 1};
    world.run(busy);
    for (std::uint64_t i = 0; i < 300; ++i) world.event(busy, i + 2, protocol::EventKind::log, Json::object({{"level", "info"}, {"text", std::to_string(i)}}));
    const Json log = (*world.seen.job("busy"))["log"];
    CHECK(log.size() == SeenJobs::kMostLines);
    CHECK(log[std::size_t{0}]["text"] == Json("100"));
}
