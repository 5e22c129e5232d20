#include <algorithm>

#include "tests/unit/factory_core/world.h"

namespace mill::factory::test {
namespace {

Json follows(const std::string& trigger, Json on = Json::array({"success"}), Json more = Json::object())
{
    Json out = Json::object({{"deployment", "order-status"}, {"type", "event"}, {"event", Json::object({{"job", Json::object({{"trigger", trigger}, {"on", std::move(on)}})}})}});
    for (const auto& [key, value] : more.as_object()) out.set(key, value);
    return out;
}

std::vector<JobRecord> jobs_of(World& world, const std::string& trigger)
{
    JobQuery query;
    query.trigger = trigger;
    auto page = world.core().reader()->jobs(query);
    REQUIRE(page);
    return page->items;
}

bool has_line(World& world, const std::string& uid, std::string_view word)
{
    const auto list = world.line_of(uid);
    return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

TEST_CASE("a job's end starts the jobs that follow it, once", "[core][followers]")
{
    CoreOptions options;
    options.input_maker = [](const Json& trigger, const Json& document) -> Result<Json> {
        if (trigger["event"]["input"].as_string() == "broken") return fail(Errc::invalid, "no such path");
        return Json::object({{"of", document["job"]["uid"]}, {"reply", document["output"]["reply"]}});
    };
    World world(options);
    world.orders();
    world.put("Trigger", "after", follows("orders"));
    world.put("Trigger", "on-failure", follows("orders", Json::array({"failure"})));
    const auto first = world.offered();
    world.report(first.agent, first.id, {world.state(1, JobState::running), world.state(2, JobState::successful, Reason::completed, Json::object({{"output", Json::object({{"reply", "sent"}})}}))});
    const auto after = jobs_of(world, "after");
    REQUIRE(after.size() == 1);
    CHECK(jobs_of(world, "on-failure").empty());
    const JobRecord next = world.job(after[0].uid);
    CHECK(next.requested_by == "job " + first.job.uid);
    CHECK(next.input["of"].as_string() == first.job.uid);
    CHECK(next.input["reply"].as_string() == "sent");
    CHECK(next.context["event"]["job"].as_string() == first.job.uid);
    CHECK(has_line(world, first.job.uid, "followed"));
    SECTION("said again, and after a restart, it stays one")
    {
        world.report(first.agent, first.id, {world.state(2, JobState::successful, Reason::completed)});
        world.restart();
        world.report(first.agent, first.id, {world.state(2, JobState::successful, Reason::completed)});
        CHECK(jobs_of(world, "after").size() == 1);
    }
    SECTION("one that cannot start keeps no job from ending, and says why")
    {
        world.put("Trigger", "after", follows("orders", Json::array({"cancel"}), Json::object({{"paused", true}, {"pausedWhy", "holidays"}})));
        world.put("Trigger", "broken", follows("orders", Json::array({"cancel"})).set("event", Json::object({{"job", Json::object({{"trigger", "orders"}, {"on", Json::array({"cancel"})}})}, {"input", "broken"}})));
        const JobRecord job = world.run();
        REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
        CHECK(world.job(job.uid).state == JobState::cancelled);
        CHECK(jobs_of(world, "after").size() == 1);
        std::string words;
        const auto rows = world.core().reader()->timeline(job.uid);
        for (const TimelineRow& row : *rows)
            if (row.what == "not_followed") words += row.detail["text"].as_string() + "\n";
        CHECK_THAT(words, Catch::Contains("trigger 'after' made no job: trigger 'after' is paused: holidays"));
        CHECK_THAT(words, Catch::Contains("event.input: no such path"));
    }
    SECTION("whoever asked for the first one does not approve what follows it")
    {
        world.put("Trigger", "checked", follows("orders", Json::array({"cancel"}), Json::object({{"approval", Json::object({{"by", Json::array({"role:admin"})}, {"within", "1h"}})}})));
        const JobRecord job = world.run();
        REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
        QuestionQuery query;
        query.state = QuestionState::open;
        const auto open = world.core().reader()->questions(query);
        REQUIRE(open->items.size() == 1);
        const auto say = [&](const std::string& who) {
            return await<Answered>([&](auto done) { world.core().answer_question({open->items[0].id, true, {}, "api", {"role:admin"}, {}, {}, {}}, {who, {}}, done); });
        };
        CHECK(say("admin")->verdict == Answered::Verdict::own);
        CHECK(say("admin bob")->verdict == Answered::Verdict::taken);
    }
}

TEST_CASE("jobs that start each other come to an end", "[core][followers]")
{
    World world;
    world.orders();
    world.put("Trigger", "ping", follows("pong", Json::array({"cancel", "expired"})));
    world.put("Trigger", "pong", follows("ping", Json::array({"cancel", "expired"})));
    world.put("Trigger", "first", follows("orders", Json::array({"cancel"})).set("event", Json::object({{"job", Json::object({{"trigger", "orders"}, {"on", Json::array({"cancel"})}})}})));
    world.put("Trigger", "ping", follows("first", Json::array({"cancel"})));
    world.put("Trigger", "again", Json::object({{"deployment", "order-status"}, {"type", "event"},
                                                {"event", Json::object({{"job", Json::object({{"deployment", "order-status"}, {"on", Json::array({"cancel"})}})}})}}));
    JobRecord job = world.run();
    std::size_t made = 0;
    // Whichever trigger made it, its end makes one more of `again`.
    for (std::string uid = job.uid; made < 30;) {
        REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(uid, "", world.who, done); }));
        const auto jobs = jobs_of(world, "again");
        if (jobs.size() == made) break;
        made = jobs.size();
        uid = jobs.front().uid;
    }
    CHECK(made == 10);
    const auto last = jobs_of(world, "again").front();
    CHECK(has_line(world, last.uid, "not_followed"));
}

}  // namespace mill::factory::test
