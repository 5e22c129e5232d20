// Starts that begin while the factory is away: when they may, and what is said of them when it is back.
#include "agent/person/at_person.h"
#include "tests/unit/agent/agent_world.h"
#include "tests/unit/agent/journal_world.h"

using namespace mill;
using namespace mill::test;
using agent::AtPerson;
using agent::Launch;
using agent::Told;

namespace {

/// In place of journal and runs.
struct Here : agent::StartsHere {
    bool package = true;
    std::string refuses;                       // why nothing begins
    std::vector<std::pair<Launch, Json>> begins;
    std::vector<Json> offers;
    bool has_package(const std::string&) const override { return package; }
    Result<std::string> begin(const Launch& launch, const Json& terms, const Json&) override
    {
        if (!refuses.empty()) return fail(Errc::conflict, refuses);
        begins.emplace_back(launch, terms);
        return "019a0000-0000-7000-8000-00000000000" + std::to_string(begins.size());
    }
    std::vector<Json> begun() const override { return offers; }
    void is_known(const protocol::AttemptId&) override {}
    void refuse(const protocol::AttemptId&, const std::string&) override {}
};

const std::string kView = R"({"user":"anna","version":7,"jobs":[],"questions":[],"launchable":[
    {"trigger":"report","title":"Report","paused":"","offer":{"terms":"t","package":{"digest":"sha256:00"}}},
    {"trigger":"online","title":"Online","paused":""},{"trigger":"paused","title":"Paused","paused":"closed","offer":{"terms":"t","package":{"digest":"sha256:00"}}}],"seen":")";

struct Desktop {
    TemporaryFolder folder;
    FakeClock clock;
    agent::Slots slots{2, clock};
    agent::Desk desk{slots};
    agent::Changes changes{clock.now()};
    Here here;
    std::optional<AtPerson> person;

    Desktop()
    {
        std::filesystem::create_directories(folder.path);
        std::ofstream(folder.path + "/person.json") << kView << format_time(clock.now()) << "\"}";
        open();
    }
    void open()
    {
        person.emplace(AtPerson::Parts{folder.path, {}, desk, clock, changes, [] { return Json(); }, [] { return Json(); }, &here});
        person->online(false, "no network");
    }
    Told launch(const std::string& trigger, const std::string& id = "L1")
    {
        Told out;
        person->launch({id, trigger, "", Json::object({{"order", 7}}), clock.now()}, [&](Told told) { out = std::move(told); });
        return out;
    }
    bool offline(std::size_t item) { return person->view()["launchable"][item]["offline"].as_bool(); }
};

}  // namespace

TEST_CASE("what the factory gave terms for begins while it is away; the rest waits, as does what the person does not want to begin", "[person][offline]")
{
    Desktop desktop;
    CHECK((desktop.offline(0) && !desktop.offline(1) && !desktop.offline(2)));
    CHECK_FALSE(desktop.person->view()["launchable"][std::size_t{0}].contains("offer"));   // no face's business
    const Told begun = desktop.launch("report");
    CHECK(begun.status == 200);
    CHECK(begun.body["queued"] == Json(false));
    REQUIRE(desktop.here.begins.size() == 1);
    CHECK(desktop.here.begins.front().first.title == "Report");
    CHECK(desktop.here.begins.front().second["terms"] == Json("t"));
    // Pressed twice, before and after a restart.
    CHECK(desktop.launch("report").body["job"] == begun.body["job"]);
    desktop.open();
    CHECK(desktop.launch("report").body["job"] == begun.body["job"]);
    CHECK(desktop.here.begins.size() == 1);
    CHECK(desktop.person->launches().is_mine(begun.body["job"].as_string()));
    for (const char* waits : {"online", "paused"}) CHECK(desktop.launch(waits, std::string("L-") + waits).body["queued"] == Json(true));
    desktop.here.refuses = "all slots are taken";
    CHECK(desktop.launch("report", "L2").body["queued"] == Json(true));
    CHECK(desktop.person->launches().waiting().size() == 3);
    CHECK(desktop.here.begins.size() == 1);
}

TEST_CASE("a start of which the factory may have a job does not begin here", "[person][offline]")
{
    Desktop desktop;
    desktop.person->online(true, "");
    Told told{0, Json()};
    desktop.person->launch({"L1", "report", "", Json::object(), desktop.clock.now()}, [&](Told said) { told = std::move(said); });   // on its way, and never answered
    desktop.person->online(false, "no network");
    CHECK(desktop.launch("report").body["queued"] == Json(true));
    desktop.open();
    CHECK(desktop.launch("report").body["queued"] == Json(true));
    CHECK(desktop.here.begins.empty());
    CHECK(desktop.person->launches().waiting().size() == 1);
}

TEST_CASE("terms hold for seven days after the factory was seen, and for packages that are here", "[person][offline]")
{
    Desktop desktop;
    desktop.clock.advance(std::chrono::hours(7 * 24 - 1));
    CHECK(desktop.offline(0));
    CHECK(desktop.launch("report").body["queued"] == Json(false));
    desktop.clock.advance(std::chrono::hours(1));
    CHECK_FALSE(desktop.offline(0));
    CHECK(desktop.launch("report", "L2").body["queued"] == Json(true));
    Desktop back;
    back.clock.advance(-std::chrono::hours(48));   // a clock that was put back keeps nothing alive
    CHECK_FALSE(back.offline(0));
    Desktop other;
    other.here.package = false;
    CHECK_FALSE(other.offline(0));
    CHECK(other.launch("report").body["queued"] == Json(true));
    CHECK(other.here.begins.empty());
}

TEST_CASE("what was given back before it started waits for the factory, under the same start", "[person][offline]")
{
    Desktop desktop;
    const std::string job = desktop.launch("report").body["job"].as_string();
    const protocol::AttemptId id{job, 1, 1};
    desktop.here.offers.push_back(to_json(id).set("launch", "L1").set("trigger", "report").set("title", "Report").set("given", Json::object({{"order", 7}})).set("asked", format_time(desktop.clock.now())));
    desktop.person->lost(id, "the agent is stopping");
    const Json waiting = desktop.person->launches().waiting();
    REQUIRE(waiting.size() == 1);
    CHECK(waiting[std::size_t{0}]["id"] == Json("L1"));
    CHECK(waiting[std::size_t{0}]["title"] == Json("Report"));
    // Of one of which nothing is left it is said that it came to nothing.
    const std::string other = desktop.launch("report", "L2").body["job"].as_string();
    desktop.person->lost({other, 1, 1}, "the disk is full");
    CHECK(desktop.person->launches().failed()[std::size_t{0}]["reason"].as_string().find("the disk is full") != std::string::npos);
}

TEST_CASE("the journal reports nothing of what is withheld, and forgets what is refused", "[journal][offline]")
{
    using namespace mill::journal_test;
    const Folder folder;
    const FakeClock clock;
    auto journal = *Journal::open(folder.file(), clock);
    journal->withhold(kA);
    for (const AttemptId& id : {kA, kB}) {
        REQUIRE(journal->take(id, R"({"job":"x"})"));
        REQUIRE(journal->start(id, running(), SteadyTime{1}));
    }
    REQUIRE(journal->add(kA, successful(2)));
    REQUIRE(journal->sync());
    auto batches = journal->pending(1 << 20);
    REQUIRE(batches);
    REQUIRE(batches->size() == 1);
    CHECK(batches->front().id == kB);
    REQUIRE(journal->withheld().size() == 1);
    CHECK(journal->withheld().front().id == kA);
    REQUIRE(journal->acknowledge(kB, 1));
    CHECK(journal->empty());   // nothing that could be reported
    journal->give(kA);
    CHECK_FALSE(journal->empty());
    CHECK(journal->pending(1 << 20)->size() == 1);
    journal->withhold(kA);
    journal->refuse(kA);
    CHECK(journal->withheld().empty());
    REQUIRE(journal->finish(kA));
    CHECK_FALSE(journal->is_open(kA));
    CHECK_FALSE(journal->last_finished());   // a factory would take it for one that it has lost
}
