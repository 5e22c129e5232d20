#include <fstream>

#include <sqlite3.h>

#include "platform/files.h"
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;
using std::chrono::hours;
namespace fs = std::filesystem;

namespace {

constexpr hours kDay{24};

CoreOptions keeping(RetentionRules rules)
{
    CoreOptions options;
    options.retention = rules;
    options.retention.every = hours(1);
    options.renderer = [](const Notification&) -> Result<Rendered> { return Rendered{.wanted = true, .request = Json::object({{"url", "https://example.com"}})}; };
    return options;
}

RetentionState state_of(World& world)
{
    auto out = await<RetentionState>([&](auto done) { world.core().retention(done); });
    REQUIRE(out);
    return *out;
}

/// One whole run, which takes many ticks.
Json retain(World& world)
{
    world.pass(hours(1));
    for (int i = 0; i < 2'000 && state_of(world).running; ++i) world.core().run_timers();
    const RetentionState state = state_of(world);
    REQUIRE_FALSE(state.running);
    return state.last["removed"];
}

std::int64_t count(World& world, const char* sql)
{
    world.core().flush();
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open_v2((world.folder() + "/factory.db").c_str(), &db, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    const std::int64_t out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return out;
}

JobRecord finished(World& world, const AgentRecord& agent, Json input = Json::object(), Json output = Json::object({{"reply", "yes"}}), const std::string& key = "",
                   std::vector<protocol::Event> log = {})
{
    const Parking parking = world.park(agent);
    RunRequest request;
    request.idempotency_key = key;
    const JobRecord job = world.run(std::move(input), request);
    const auto id = parking.value().offers.at(0).id;
    std::vector<protocol::Event> events{world.state(1, JobState::running)};
    if (log.empty()) log = {World::line(2, "looked up"), World::line(3, "found")};
    for (auto& line : log) events.push_back(std::move(line));
    const auto last = events.size() + 1;
    events.push_back(world.state(last, JobState::successful, Reason::completed, Json::object({{"output", std::move(output)}})));
    world.report(agent, id, {events.front()});
    std::vector<protocol::Event> some;
    for (std::size_t i = 1; i < events.size(); ++i) {
        some.push_back(std::move(events[i]));
        if (some.size() == 50 || i + 1 == events.size()) world.report(agent, id, std::exchange(some, {}));
    }
    return world.job(job.uid);
}

bool is_there(World& world, const std::string& uid) { return world.core().reader()->job(uid).has_value(); }

std::size_t files_in(const std::string& folder)
{
    std::size_t out = 0;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; ++at) ++out;
    return out;
}

std::vector<StoredEvent> log_of(World& world, const std::string& uid)
{
    std::vector<StoredEvent> out;
    std::string cursor;
    while (true) {
        auto page = world.core().reader()->events(uid, protocol::EventKind::log, cursor, 500);
        REQUIRE(page);
        for (StoredEvent& each : page->items) out.push_back(std::move(each));
        if (page->items.size() < 500) return out;
        cursor = page->next;
    }
}

}  // namespace

TEST_CASE("what ended long ago goes with all that belongs to it, and nothing else does", "[retention]")
{
    World world(keeping({.jobs = kDay * 30, .logs = {}, .deliveries = {}, .audit = {}, .events = {}, .metrics = {}, .jobs_most = 0}));
    world.orders();
    world.put("Notifier", "tell", Json::object({{"trigger", "orders"}, {"on", Json::array({"success"})}, {"type", "api"}}));
    const AgentRecord agent = world.agent("srv-1");
    const JobRecord told = finished(world, agent);
    auto claimed = await<std::vector<DeliveryRecord>>([&](auto done) { world.core().claim_deliveries(16, done); });
    REQUIRE(claimed);
    REQUIRE(claimed->size() == 1);
    DeliveryOutcome outcome;
    outcome.id = claimed->front().id;
    outcome.verdict = DeliveryOutcome::Verdict::delivered;
    REQUIRE(await<DeliveryRecord>([&](auto done) { world.core().delivery_done(outcome, done); }));
    const JobRecord untold = finished(world, agent);   // its delivery is open
    const JobRecord waiting = world.run();
    world.pass(kDay * 29);
    CHECK(retain(world).as_object().empty());
    CHECK(is_there(world, told.uid));
    world.pass(kDay * 2);
    const JobRecord young = finished(world, agent);   // takes `waiting`
    CHECK(state_of(world).due.jobs >= 1);
    CHECK(retain(world)["jobs"].as_integer() == 1);
    CHECK_FALSE(is_there(world, told.uid));
    CHECK(is_there(world, untold.uid));
    CHECK(is_there(world, waiting.uid));
    CHECK(is_there(world, young.uid));
    for (const char* sql : {"select count(*) from inputs where job not in (select id from jobs)", "select count(*) from outcomes where job not in (select id from jobs)",
                            "select count(*) from attempts where job not in (select id from jobs)", "select count(*) from events where job not in (select id from jobs)",
                            "select count(*) from feed where job is not null and job not in (select id from jobs)",
                            "select count(*) from deliveries where job is not null and job not in (select id from jobs)",
                            "select count(*) from delivery_attempts where delivery not in (select id from deliveries)"}) {
        INFO(sql);
        CHECK(count(world, sql) == 0);
    }
    CHECK(count(world, "select count(*) from audit where who = 'retention' and action = 'remove'") == 1);
    CHECK(retain(world).as_object().empty());   // nothing more, and no further line
    CHECK(count(world, "select count(*) from audit where who = 'retention' and action = 'remove'") == 1);
    CHECK(state_of(world).removed.at(0).ever == 1);
}

TEST_CASE("a job whose idempotency key is remembered stays for its 24 hours, whatever the number of jobs", "[retention]")
{
    World world(keeping({.jobs = {}, .logs = {}, .deliveries = {}, .audit = {}, .events = {}, .metrics = {}, .jobs_most = 2}));
    world.orders();
    const AgentRecord agent = world.agent("srv-1");
    const JobRecord keyed = finished(world, agent, Json::object(), Json::object(), "k-1");
    std::vector<std::string> others;
    for (int i = 0; i < 5; ++i) others.push_back(finished(world, agent).uid);
    CHECK(retain(world)["jobs"].as_integer() == 4);
    CHECK(is_there(world, keyed.uid));
    for (int i = 0; i < 5; ++i) CHECK(is_there(world, others[static_cast<std::size_t>(i)]) == (i == 4));
    RunRequest again;
    again.idempotency_key = "k-1";
    const auto same = world.try_run(Json::object(), again);
    REQUIRE(same);
    CHECK(same->repeated);
    CHECK(same->job.uid == keyed.uid);
    world.pass(kDay);
    (void)retain(world);
    (void)finished(world, agent);
    CHECK(retain(world)["jobs"].as_integer() == 1);
    CHECK_FALSE(is_there(world, keyed.uid));
}

TEST_CASE("a run that was cut short goes on, is audited once, and numbers of the feed are not given twice", "[retention]")
{
    World world(keeping({.jobs = kDay, .logs = {}, .deliveries = {}, .audit = kDay, .events = kDay, .metrics = {}, .jobs_most = 0}));
    world.orders();
    const AgentRecord agent = world.agent("srv-1");
    for (int i = 0; i < 450; ++i) (void)finished(world, agent);
    const std::uint64_t feed = *world.core().reader()->last_feed_sequence();
    world.pass(kDay * 2);
    world.pass(hours(1));   // a few steps only
    world.core().run_timers();
    REQUIRE(state_of(world).running);
    const std::int64_t left = count(world, "select count(*) from jobs");
    CHECK(left < 450);
    CHECK(left > 1);
    world.restart();
    CHECK_FALSE(state_of(world).running);
    const Json removed = retain(world);
    CHECK(removed["jobs"].as_integer() == 449);   // all of both; the newest row stays, so that its number is not given again
    CHECK(removed["audit"].as_integer() > 0);
    CHECK(count(world, "select count(*) from audit where who = 'retention'") == 1);
    CHECK(count(world, "select count(*) from feed where job is null and time < (select max(time) from feed) - 100000000000") == 0);
    world.restart();
    const JobRecord next = finished(world, agent);
    const auto rows = world.core().reader()->timeline(next.uid);
    REQUIRE(rows);
    CHECK(rows->front().sequence > feed);
}

TEST_CASE("the log of an old job goes before the job does, and the log says so", "[retention]")
{
    World world(keeping({.jobs = {}, .logs = kDay, .deliveries = {}, .audit = {}, .events = {}, .metrics = {}, .jobs_most = 0}));
    world.orders();
    const AgentRecord agent = world.agent("srv-1");
    const JobRecord job = finished(world, agent);
    REQUIRE(log_of(world, job.uid).size() == 2);
    world.pass(kDay * 2);
    CHECK(retain(world)["logs"].as_integer() == 1);
    const auto log = log_of(world, job.uid);
    REQUIRE(log.size() == 1);
    CHECK(log.front().event.body["kind"].as_string() == "removed");
    CHECK_THAT(log.front().event.body["why"].as_string(), Catch::Contains("retention.logs"));
    CHECK(world.job(job.uid).output["reply"].as_string() == "yes");
    world.restart();
    CHECK(retain(world).as_object().empty());
}

TEST_CASE("long inputs and outputs are files, whole in every answer, and go with their job", "[retention][values]")
{
    World world(keeping({.jobs = kDay, .logs = {}, .deliveries = {}, .audit = {}, .events = {}, .metrics = {}, .jobs_most = 0}));
    world.orders();
    const AgentRecord agent = world.agent("srv-1");
    const std::string long_text(3'000'000, 'x');
    const JobRecord job = finished(world, agent, Json::object({{"text", long_text}}), Json::object({{"answer", long_text + "y"}}));
    CHECK(job.input["text"].as_string() == long_text);
    CHECK(job.output["answer"].as_string() == long_text + "y");
    const std::string folder = world.folder() + "/values";
    CHECK(files_in(folder) == 2);
    CHECK(count(world, "select max(length(input)) from inputs") < 200);
    CHECK(count(world, "select max(length(output)) from outcomes") < 200);

    const Parking parking = world.park(agent);
    const auto again = await<Accepted>([&](auto done) { world.core().retry(job.uid, false, world.who, done); });
    REQUIRE(again);
    world.core().flush();
    CHECK(parking.value().offers.at(0).input["text"].as_string() == long_text);
    CHECK(files_in(folder) == 3);
    world.restart();
    const Parking anew = world.park(agent);   // the offer is made of what is stored
    CHECK(anew.value().offers.at(0).input["text"].as_string() == long_text);

    std::ofstream(folder + "/0192f0c4-0000-7000-8000-000000000000.json") << "of a process that was killed";
    world.pass(kDay * 2);
    const Json removed = retain(world);
    CHECK(removed["jobs"].as_integer() == 1);
    CHECK(removed["files"].as_integer() == 1);
    CHECK(files_in(folder) == 1);   // of the job that runs
    CHECK(count(world, "select count(*) from files") == 1);

    fs::remove_all(folder);
    const auto lost = world.core().reader()->job(again->job.uid);
    REQUIRE_FALSE(lost);
    CHECK(lost.error().code == Errc::corrupt);
    CHECK_THAT(lost.error().what, Catch::Contains(again->job.uid) && Catch::Contains("values/"));
}

TEST_CASE("no file goes while a backup is made, and the next run removes it", "[retention][values]")
{
    World world(keeping({.jobs = kDay, .logs = {}, .deliveries = {}, .audit = {}, .events = {}, .metrics = {}, .jobs_most = 0}));
    world.orders();
    const AgentRecord agent = world.agent("srv-1");
    const JobRecord job = finished(world, agent, Json::object({{"text", std::string(100'000, 'x')}}));
    (void)finished(world, agent);
    world.pass(kDay * 2);
    {
        const auto backup = platform::lock_file(world.folder() + "/backup.lock");
        REQUIRE(backup);
        (void)retain(world);
        CHECK_FALSE(is_there(world, job.uid));
        CHECK(files_in(world.folder() + "/values") == 1);
    }
    CHECK(retain(world)["files"].as_integer() == 1);
    CHECK(files_in(world.folder() + "/values") == 0);
}

TEST_CASE("the middle of a long log lies in a file and reads as before, also after a kill between file and rows", "[retention][logs]")
{
    World world(keeping({.jobs = kDay * 9, .logs = kDay, .deliveries = {}, .audit = {}, .events = {}, .metrics = {}, .jobs_most = 0}));
    world.orders();
    const AgentRecord agent = world.agent("srv-1");
    std::vector<protocol::Event> log;
    for (std::uint64_t i = 2; i < 3'002; ++i) log.push_back(World::line(i, fmt::format("line {} {}", i, std::string(1'000, 'l'))));
    const JobRecord job = finished(world, agent, Json::object(), Json::object(), "", log);
    (void)finished(world, agent);
    const auto before = log_of(world, job.uid);
    REQUIRE(before.size() == 3'000);
    const std::string file = fmt::format("{}/logs/{}.1", world.folder(), job.uid);

    world.pass(hours(1));   // one step: a part of it
    REQUIRE(state_of(world).running);
    REQUIRE(fs::exists(file));
    std::ofstream(file, std::ios::app) << "half a step of a process that was killed";
    world.restart();
    CHECK(log_of(world, job.uid).size() == 3'000);
    (void)retain(world);
    const auto after = log_of(world, job.uid);
    REQUIRE(after.size() == before.size());
    for (std::size_t i = 0; i < after.size(); ++i) REQUIRE(after[i].event.body == before[i].event.body);
    CHECK(count(world, "select sum(length(lines)) from events where at is not null") == 0);
    CHECK(count(world, "select sum(length(lines)) from events") < 700'000);
    CHECK(static_cast<std::int64_t>(fs::file_size(file)) == count(world, "select sum(size) from events where at is not null"));

    fs::rename(file, file + ".away");
    const auto holes = log_of(world, job.uid);
    CHECK(holes.size() < 1'000);
    CHECK(std::any_of(holes.begin(), holes.end(), [](const StoredEvent& e) { return e.event.kind == protocol::EventKind::gap && e.event.body["lost"].as_integer() > 0; }));
    fs::rename(file + ".away", file);
    world.pass(kDay * 2);
    CHECK(retain(world)["logs"].as_integer() == 2);
    CHECK_FALSE(fs::exists(file));
    CHECK(log_of(world, job.uid).size() == 1);
}

TEST_CASE("space that is free is given back, and some is kept", "[retention]")
{
    World world(keeping({.jobs = kDay, .logs = {}, .deliveries = {}, .audit = {}, .events = {}, .metrics = {}, .jobs_most = 0}));
    world.orders();
    const AgentRecord agent = world.agent("srv-1");
    for (int i = 0; i < 300; ++i) (void)finished(world, agent, Json::object({{"text", std::string(50'000, 'x')}}));
    world.restart();   // the log is in the database
    const std::int64_t pages = count(world, "pragma page_count");
    world.pass(kDay * 2);
    const Json removed = retain(world);
    CHECK(removed["jobs"].as_integer() == 299);
    CHECK(removed["bytes"].as_integer() > 4'000'000);
    const std::int64_t left = count(world, "pragma page_count");
    CHECK(left < pages * 2 / 3);
    CHECK(count(world, "pragma freelist_count") > 0);
    CHECK(count(world, "select count(*) from pragma_integrity_check where integrity_check <> 'ok'") == 0);
}

TEST_CASE("a job whose caller was called back goes like others, and what is due goes on", "[retention]")
{
    RetentionRules rules;
    rules.jobs = kDay * 10;
    World world(keeping(rules));
    world.orders(Json::object({{"expiration", "1h"}}));
    const auto agent = world.agent("srv-1");
    const Parking parking = world.park(agent);
    RunRequest request;
    request.callback = Json::object({{"url", "https://example.com/hooks/1"}});
    const JobRecord job = world.run(Json::object(), request);
    const auto id = parking.value().offers.at(0).id;
    world.report(agent, id, {world.state(1, JobState::running), world.state(2, JobState::successful, Reason::completed)});
    const auto told = await<std::vector<DeliveryRecord>>([&](auto done) { world.core().claim_deliveries(10, done); });
    REQUIRE(told);
    for (const DeliveryRecord& one : *told) {
        DeliveryOutcome outcome;
        outcome.id = one.id;
        outcome.verdict = DeliveryOutcome::Verdict::delivered;
        outcome.attempt.status = 200;
        REQUIRE(await<DeliveryRecord>([&](auto done) { world.core().delivery_done(outcome, done); }));
    }
    (void)world.run();   // the newest job always stays
    REQUIRE(count(world, "select count(*) from callbacks") == 1);
    world.pass(kDay * 11);
    (void)retain(world);
    CHECK_FALSE(world.core().reader()->job(job.uid));
    CHECK(count(world, "select count(*) from callbacks") == 0);
    const JobRecord late = world.run();
    world.pass(hours(2));
    CHECK(world.job(late.uid).state == JobState::expired);   // the timers still write what they do
}

TEST_CASE("what cannot be removed stops retention until its next run, and nothing else", "[retention]")
{
    RetentionRules rules;
    rules.jobs = kDay * 10;
    World world(keeping(rules));
    world.orders(Json::object({{"expiration", "1h"}}));
    const auto agent = world.agent("srv-1");
    const JobRecord old = finished(world, agent);
    (void)world.run();   // the newest job always stays
    world.core().flush();
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open((world.folder() + "/factory.db").c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, "create table of_somebody(job integer not null references jobs(id)); insert into of_somebody select min(id) from jobs;", nullptr, nullptr, nullptr) == SQLITE_OK);
    world.pass(kDay * 11);
    for (int i = 0; i < 50; ++i) world.core().run_timers();
    CHECK(world.core().reader()->job(old.uid));
    CHECK_FALSE(state_of(world).running);
    const JobRecord late = world.run();
    world.pass(hours(2));
    CHECK(world.job(late.uid).state == JobState::expired);
    // And when it is mended the next run does it.
    REQUIRE(sqlite3_exec(db, "drop table of_somebody", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    (void)retain(world);
    CHECK_FALSE(world.core().reader()->job(old.uid));
}
