// Jobs that others sent: asked, answered, ignored, remembered over a restart.
#include "agent/person/consents.h"
#include "tests/unit/agent/agent_world.h"

using namespace mill;
using namespace mill::test;
using agent::Beside;
using agent::Consents;
using agent::PersonRules;
using Word = Beside::Word;

namespace {

struct Asking {
    TemporaryFolder folder;
    FakeClock clock;
    PersonRules rules;
    std::string path = folder.path + "/consents.json";

    Consents open() { return Consents(path, rules, clock); }
    static Json said(const AttemptId& id, const std::string& trigger = "d")
    {
        Json offer = offer_json(id);
        offer.set("trigger", trigger);
        return offer.set("consent", Json::object({{"asker", "user otto"}, {"trigger", trigger}, {"title", "Monthly report"}, {"description", "Sums up"}, {"expectedMs", 90'000}}));
    }
    static auto hear(Consents& consents, const AttemptId& id, const std::string& trigger = "d")
    {
        const Json json = said(id, trigger);
        return consents.hear(*protocol::parse_offer(json), json);
    }
};

const AttemptId kOne{"job-1", 1, 1}, kTwo{"job-2", 1, 1};

}  // namespace

TEST_CASE("a job of somebody else is asked about, with what it may do, and begins when the person says now", "[consent]")
{
    Asking world;
    Consents consents = world.open();
    const auto verdict = Asking::hear(consents, kOne);
    CHECK(verdict.word == Word::asking);
    CHECK(verdict.until == world.clock.now() + Microseconds(120'000'000));
    const Json list = consents.list();
    REQUIRE(list.size() == 1);
    const Json& shown = list[std::size_t{0}];
    CHECK(shown["id"] == Json(kOne.key()));
    CHECK(shown["title"] == Json("Monthly report"));
    CHECK(shown["asker"] == Json("user otto"));
    CHECK(shown["expectedMs"] == Json(90'000));
    CHECK(shown["does"] == Json::array({"computes only: no files, no network, no programs"}));
    CHECK(shown["deeds"][std::size_t{0}]["code"] == Json("nothing"));
    CHECK(consents.granted().empty());
    CHECK(Asking::hear(consents, kOne).word == Word::asking);   // offered again
    CHECK(consents.list().size() == 1);

    const auto settled = consents.choose(kOne.key(), "now", "anna");
    REQUIRE(settled);
    CHECK(settled->waited_for);
    CHECK(consents.may_begin());
    CHECK(consents.list().empty());
    const auto granted = consents.granted();
    REQUIRE(granted.size() == 1);
    CHECK(granted[0].offer["attemptToken"] == Json("mw_attempt_1"));
    CHECK(consents.granted().empty());
    const auto again = consents.choose(kOne.key(), "later", "anna");
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Errc::conflict);
    CHECK_THAT(again.error().what, Catch::Contains("anna said: now"));
}

TEST_CASE("later and not today hold for all jobs of that trigger, and for no other one", "[consent]")
{
    Asking world;
    Consents consents = world.open();
    Asking::hear(consents, kOne);
    const std::string choice = GENERATE("later", "not_today");
    REQUIRE(consents.choose(kOne.key(), choice, "anna"));
    CHECK(consents.granted().empty());
    CHECK(Asking::hear(consents, kOne).word == Word::declined);    // its answer was lost on the way: the same is said
    const auto next = Asking::hear(consents, kTwo);
    CHECK(next.word == Word::declined);
    CHECK(next.choice == choice);
    CHECK(next.by == "anna");
    CHECK(Asking::hear(consents, {"job-3", 1, 1}, "another").word == Word::asking);
    REQUIRE(next.until);
    if (choice == "later") CHECK(*next.until == world.clock.now() + Microseconds(600'000'000));
    world.clock.advance(*next.until - world.clock.now());
    CHECK(Asking::hear(consents, kTwo).word == Word::asking);
}

TEST_CASE("nobody answers: none, once, and nobody can answer afterwards", "[consent]")
{
    Asking world;
    world.rules.within = Milliseconds(30'000);
    Consents consents = world.open();
    Asking::hear(consents, kOne);
    CHECK(consents.expire().empty());
    CHECK(consents.next() == world.clock.now() + Microseconds(30'000'000));
    world.clock.advance(Microseconds(30'000'000));
    CHECK(consents.list().empty());
    const auto early = consents.choose(kOne.key(), "now", "anna");   // over, and not said yet
    REQUIRE_FALSE(early);
    CHECK(early.error().code == Errc::timeout);
    const auto over = consents.expire();
    REQUIRE(over.size() == 1);
    CHECK(over[0].choice == "none");
    CHECK(over[0].waited_for);
    CHECK(consents.expire().empty());
    CHECK_FALSE(consents.next());
    const auto late = consents.choose(kOne.key(), "now", "anna");
    REQUIRE_FALSE(late);
    CHECK(late.error().code == Errc::timeout);
    CHECK(consents.granted().empty());
    CHECK(consents.choose("nothing", "now", "anna").error().code == Errc::not_found);
    CHECK(consents.choose(kOne.key(), "perhaps", "anna").error().code == Errc::invalid);
}

TEST_CASE("a restart in the middle neither starts a job unasked nor forgets what was said", "[consent]")
{
    Asking world;
    std::optional<Consents> consents;
    consents.emplace(world.path, world.rules, world.clock);
    const auto first = Asking::hear(*consents, kOne);
    SECTION("not answered yet: still asked, until the same time, and an answer counts before the offer is back")
    {
        world.clock.advance(Microseconds(50'000'000));
        consents.emplace(world.path, world.rules, world.clock);
        REQUIRE(consents->list().size() == 1);
        CHECK(consents->granted().empty());
        const auto settled = consents->choose(kOne.key(), "now", "anna");
        REQUIRE(settled);
        CHECK_FALSE(settled->waited_for);
        CHECK(consents->granted().empty());
        CHECK(Asking::hear(*consents, kOne).word == Word::granted);
        CHECK(consents->granted().empty());                       // once
    }
    SECTION("offered again: the deadline is the one of before")
    {
        world.clock.advance(Microseconds(50'000'000));
        consents.emplace(world.path, world.rules, world.clock);
        const auto verdict = Asking::hear(*consents, kOne);
        CHECK(verdict.word == Word::asking);
        CHECK(verdict.until == first.until);
        REQUIRE(consents->choose(kOne.key(), "now", "anna"));
        CHECK(consents->granted().size() == 1);
    }
    SECTION("its time passed meanwhile: none")
    {
        world.clock.advance(Microseconds(200'000'000));
        consents.emplace(world.path, world.rules, world.clock);
        const auto verdict = Asking::hear(*consents, kOne);
        CHECK(verdict.word == Word::declined);
        CHECK(verdict.choice == "none");
    }
    SECTION("now was said and the agent died before it began: it begins, unasked")
    {
        REQUIRE(consents->choose(kOne.key(), "now", "anna"));
        consents.emplace(world.path, world.rules, world.clock);
        const auto verdict = Asking::hear(*consents, kOne);
        CHECK(verdict.word == Word::granted);
        CHECK(verdict.by == "anna");
    }
    SECTION("not today was said: not asked again")
    {
        REQUIRE(consents->choose(kOne.key(), "not_today", "anna"));
        consents.emplace(world.path, world.rules, world.clock);
        CHECK(Asking::hear(*consents, kOne).word == Word::declined);
        CHECK(Asking::hear(*consents, kTwo).word == Word::declined);
    }
    SECTION("no input and no token lies in the file")
    {
        const auto text = platform::read_file(world.path, 1 << 20);
        REQUIRE(text);
        CHECK(text->find("Monthly report") != std::string::npos);
        CHECK(text->find("mw_attempt_1") == std::string::npos);
    }
    SECTION("a file that is damaged costs one more question")
    {
        REQUIRE(platform::write_file(world.path, "{"));
        consents.emplace(world.path, world.rules, world.clock);
        CHECK(consents->list().empty());
        CHECK(Asking::hear(*consents, kOne).word == Word::asking);
    }
}

TEST_CASE("in another session nothing begins with the token of before: what was granted waits for its offer", "[consent]")
{
    Asking world;
    Consents consents = world.open();
    Asking::hear(consents, kOne);
    const Json fresh = Asking::said(kOne).set("attemptToken", "mw_attempt_2");
    CHECK_FALSE(consents.refresh(kOne, fresh));   // offered again in the same session: nothing new
    consents.expect_again();
    SECTION("now was said before the offer came again")
    {
        REQUIRE(consents.choose(kOne.key(), "now", "anna"));
        CHECK(consents.granted().empty());
        const auto verdict = consents.refresh(kOne, fresh);
        REQUIRE(verdict);
        CHECK(verdict->word == Word::granted);
        const auto granted = consents.granted();
        REQUIRE(granted.size() == 1);
        CHECK(granted[0].offer["attemptToken"] == Json("mw_attempt_2"));
        CHECK_FALSE(consents.refresh(kOne, fresh));
    }
    SECTION("nothing was said: asked as before, and the factory hears so once")
    {
        const auto verdict = consents.refresh(kOne, fresh);
        REQUIRE(verdict);
        CHECK(verdict->word == Word::asking);
        CHECK_FALSE(consents.refresh(kOne, fresh));
        REQUIRE(consents.choose(kOne.key(), "now", "anna"));
        CHECK(consents.granted().at(0).offer["attemptToken"] == Json("mw_attempt_2"));
    }
    SECTION("later was said meanwhile")
    {
        REQUIRE(consents.choose(kOne.key(), "later", "anna"));
        CHECK(consents.refresh(kOne, fresh)->word == Word::declined);
    }
    SECTION("the factory gave it up before it began: nobody waits for it any more")
    {
        REQUIRE(consents.choose(kOne.key(), "now", "anna"));
        CHECK(consents.withdrawn(kOne));
        CHECK(consents.granted().empty());
    }
}

TEST_CASE("an answer that cannot be written down was not given", "[consent]")
{
    Asking world;
    Consents consents("/proc/nowhere/consents.json", world.rules, world.clock);
    CHECK(Asking::hear(consents, kOne).word == Word::asking);
    const auto settled = consents.choose(kOne.key(), "now", "anna");
    REQUIRE_FALSE(settled);
    CHECK(consents.granted().empty());
    CHECK(consents.list().size() == 1);
}

TEST_CASE("in quiet hours and by the policy's own word nobody is asked", "[consent]")
{
    Asking world;
    SECTION("quiet")
    {
        world.rules.quiet = {{0x7f, 0, 1439}, {0x7f, 1439, 0}};   // always, in two parts
        Consents consents = world.open();
        const auto verdict = Asking::hear(consents, kOne);
        CHECK(verdict.word == Word::declined);
        CHECK(verdict.choice == "none");
        REQUIRE(verdict.until);
        CHECK(*verdict.until > world.clock.now());
        CHECK_THAT(verdict.why, Catch::Contains("quiet hours"));
        CHECK(consents.list().empty());
    }
    SECTION("quiet also where nobody would be asked")
    {
        world.rules.quiet = {{0x7f, 0, 1439}, {0x7f, 1439, 0}};
        world.rules.jobs = PersonRules::Jobs::always;
        Consents consents = world.open();
        CHECK(Asking::hear(consents, kOne).word == Word::declined);
    }
    SECTION("always")
    {
        world.rules.jobs = PersonRules::Jobs::always;
        Consents consents = world.open();
        const auto verdict = Asking::hear(consents, kOne);
        CHECK(verdict.word == Word::granted);
        CHECK(verdict.choice == "always");
        CHECK(verdict.by == "policy.yaml");
    }
    SECTION("never")
    {
        world.rules.jobs = PersonRules::Jobs::never;
        Consents consents = world.open();
        const auto verdict = Asking::hear(consents, kOne);
        CHECK(verdict.word == Word::declined);
        CHECK_THAT(verdict.why, Catch::Contains("jobs: never"));
    }
}

TEST_CASE("a job that its factory ends while the person is asked is asked about no more", "[consent]")
{
    Asking world;
    Consents consents = world.open();
    Asking::hear(consents, kOne);
    CHECK_FALSE(consents.withdrawn(kTwo));
    const auto offer = consents.withdrawn(kOne);
    REQUIRE(offer);
    CHECK((*offer)["job"] == Json("job-1"));
    CHECK(consents.list().empty());
    CHECK_FALSE(consents.withdrawn(kOne));
    CHECK(consents.choose(kOne.key(), "now", "anna").error().code == Errc::not_found);
}

TEST_CASE("another job under a name that was answered for is asked about anew", "[consent]")
{
    Asking world;
    std::optional<Consents> opened;
    opened.emplace(world.path, world.rules, world.clock);
    Asking::hear(*opened, kOne);
    const auto with = [&](const char* member, Json value) { return Asking::said(kOne).set(member, std::move(value)).set("attemptToken", "mw_attempt_2"); };
    const Json other = GENERATE_COPY(with("package", Json::object({{"name", "order-status"}, {"version", "1.0.0"}, {"digest", "sha256:" + std::string(64, 'b')}})),
                                     with("permissions", Json::object({{"network", Json::array({"https://evil.example"})}})), with("input", Json::object({{"all", true}})));
    const bool said_now = GENERATE(true, false);
    if (said_now) REQUIRE(opened->choose(kOne.key(), "now", "anna"));
    SECTION("in another session")
    {
        opened->expect_again();
        const auto verdict = opened->refresh(kOne, other);
        REQUIRE(verdict);
        CHECK(verdict->word == Word::asking);
    }
    SECTION("after a restart of this agent")
    {
        opened.emplace(world.path, world.rules, world.clock);
        CHECK(opened->hear(*protocol::parse_offer(other), other).word == Word::asking);
    }
    Consents& consents = *opened;
    CHECK(consents.granted().empty());
    REQUIRE(consents.list().size() == 1);
    REQUIRE(consents.choose(kOne.key(), "now", "anna"));
    const auto granted = consents.granted();
    REQUIRE(granted.size() == 1);
    CHECK(granted[0].offer == other);
}

TEST_CASE("who stops everything has said later to all that has not begun", "[consent]")
{
    Asking world;
    Consents consents = world.open();
    Asking::hear(consents, kOne);
    Asking::hear(consents, kTwo, "another");
    const AttemptId begun{"job-3", 1, 1};
    Asking::hear(consents, begun, "third");
    REQUIRE(consents.choose(begun.key(), "now", "anna"));
    REQUIRE(consents.granted().size() == 1);
    consents.expect_again();                                     // the factory is away
    REQUIRE(consents.choose(kOne.key(), "now", "anna"));
    const auto settled = consents.postpone("anna");
    REQUIRE(settled.size() == 2);
    for (const auto& each : settled) CHECK(each.choice == "later");
    CHECK(consents.postpone("anna").empty());
    CHECK(consents.list().empty());
    CHECK(consents.refresh(kOne, Asking::said(kOne))->word == Word::declined);
    CHECK(consents.granted().empty());
    Consents again = world.open();
    CHECK(Asking::hear(again, kOne).word == Word::declined);
    CHECK(Asking::hear(again, kTwo, "another").word == Word::declined);
}

TEST_CASE("after a restart what the journal knows to have begun is not for later when everything is stopped", "[consent]")
{
    Asking world;
    for (const auto& [id, trigger] : {std::pair(kOne, "long"), std::pair(kTwo, "lost")}) {
        Consents before = world.open();
        Asking::hear(before, id, trigger);
        REQUIRE(before.choose(id.key(), "now", "anna"));
        REQUIRE(before.granted().size() == 1);
    }
    Consents consents = world.open();   // the agent was killed: one runs on, of the other one nothing is written down
    consents.begun([](const AttemptId& id) { return id == kOne; });
    const auto settled = consents.postpone("anna");
    REQUIRE(settled.size() == 1);
    CHECK(settled.front().id == kTwo);
    CHECK(Asking::hear(consents, {"job-3", 1, 1}, "long").word == Word::asking);      // its trigger's next job is asked about
    CHECK(Asking::hear(consents, kTwo, "lost").word == Word::declined);               // and what was let run and never began does not begin any more
}
