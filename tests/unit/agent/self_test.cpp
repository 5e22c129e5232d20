#include <filesystem>

#include <unistd.h>

#include <catch2/catch.hpp>

#include "agent/desk.h"
#include "agent/self/control.h"
#include "agent/self/disk_room.h"
#include "agent/self/log_copy.h"
#include "agent/self/own_log.h"
#include "agent/self/status.h"
#include "agent/self/vitals.h"
#include "platform/files.h"

using namespace mill;
using namespace mill::agent;
using namespace std::chrono_literals;

namespace {

struct Folder {
    std::string path;
    Folder()
    {
        char name[] = "/tmp/agent-self-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
};

struct Routes {
    FakeClock clock;
    Json status = Json::object({{"problems", Json::array()}});
    Status settings, saved, programs;
    std::optional<Pause> paused;
    std::optional<Leave> left;
    int renewals = 0;
    platform::LocalHandler handler;
    Routes()
    {
        ControlPorts ports;
        ports.status = [this] { return status; };
        ports.check_settings = [this] { return settings; };
        ports.pause = [this](std::optional<Pause> pause) {
            paused = std::move(pause);
            return saved;
        };
        ports.leave = [this](Leave leave) { left = std::move(leave); };
        ports.check_programs = [this] { return programs; };
        ports.renew = [this] { ++renewals; };
        ports.clock = &clock;
        handler = control_routes(std::move(ports));
    }
    platform::LocalResponse post(const std::string& path, const std::string& body = "") { return handler({"POST", path, body, "ada"}); }
};

}  // namespace

TEST_CASE("a loop is overdue when it does not come back as it promised, and only then", "[agent][self]")
{
    FakeClock clock;
    Vitals vitals(clock);
    Vitals::Loop& link = vitals.add("link");
    Vitals::Loop& lease = vitals.add("lease");
    CHECK(vitals.overdue().empty());
    link.within(10s);
    lease.idle();
    clock.advance(9s);
    CHECK(vitals.overdue().empty());
    clock.advance(2s);
    CHECK(vitals.overdue() == std::vector<std::string>{"link"});
    CHECK(vitals.as_json().as_array()[0]["state"].as_string() == "overdue");
    CHECK(vitals.as_json().as_array()[1]["state"].as_string() == "waiting");
    link.within(10s);
    CHECK(vitals.overdue().empty());
    link.bad("the factory is away");
    CHECK(vitals.as_json().as_array()[0]["lastError"]["why"].as_string() == "the factory is away");
    link.good();
    CHECK_FALSE(vitals.as_json().as_array()[0].contains("lastError"));
    CHECK(vitals.as_json().as_array()[0].contains("lastGood"));
    link.bad(std::string(5000, 'x'));
    CHECK(vitals.as_json().as_array()[0]["lastError"]["why"].as_string().size() == 1000);
}

TEST_CASE("a pause is kept on disk until it is over or taken back", "[agent][self]")
{
    const Folder folder;
    const WallTime now{1'800'000'000'000'000};
    CHECK_FALSE(load_pause(folder.path, now).value());
    REQUIRE(save_pause(folder.path, Pause{"ada", "a \"long\" lunch", now, now + 1h}));
    const auto read = load_pause(folder.path, now).value();
    REQUIRE(read);
    CHECK(words_of(*read) == "paused on its machine by ada since 2027-01-15T08:00:00Z until 2027-01-15T09:00:00Z: a \"long\" lunch");
    CHECK_FALSE(load_pause(folder.path, now + 2h).value());
    REQUIRE(save_pause(folder.path, std::nullopt));
    REQUIRE(save_pause(folder.path, std::nullopt));
    CHECK_FALSE(load_pause(folder.path, now).value());
    // Cut at any byte it is an error with the file's name, never a pause that is not there.
    REQUIRE(save_pause(folder.path, Pause{"ada", "lunch", now, std::nullopt}));
    const std::string whole = platform::read_file(folder.path + "/paused.json", 10'000).value();
    for (std::size_t length = 0; length + 2 < whole.size(); ++length) {
        REQUIRE(platform::write_file(folder.path + "/paused.json", whole.substr(0, length), 0600));
        CHECK_THAT(load_pause(folder.path, now).error().what, Catch::Contains("paused.json") && Catch::Contains("remove it"));
    }
}

TEST_CASE("a paused desk gives no slot, says why, and opens at its time", "[agent][self]")
{
    FakeClock clock;
    Slots slots(2, clock);
    Desk desk(slots);
    int changes = 0;
    desk.set_on_change([&] { ++changes; });
    slots.pause("paused by ada", clock.steady() + 10s);
    CHECK(changes == 1);
    CHECK(desk.free() == 0);
    CHECK(desk.unable() == "paused by ada");
    CHECK(desk.resting() == Milliseconds(10'000));
    desk.rest(20s, "the disk is full");
    CHECK(desk.resting() == Milliseconds(20'000));
    clock.advance(11s);
    CHECK(desk.unable() == "the disk is full");
    clock.advance(10s);
    CHECK(desk.free() == 2);
    slots.pause("for good", std::nullopt);
    CHECK_FALSE(desk.resting());
    CHECK_FALSE(desk.take({{"j", 1, 1}, false}));
    slots.resume();
    CHECK(desk.free() == 2);
    CHECK(desk.unable().empty());
}

TEST_CASE("jobs that wait for people take no slot, as long as they are few", "[agent][self]")
{
    FakeClock clock;
    Slots slots(2, clock);
    slots.let_wait(3);
    Desk desk(slots);
    const auto job = [](int number) { return protocol::AttemptId{"j" + std::to_string(number), 1, 1}; };
    for (int i = 0; i < 5; ++i) {
        REQUIRE(desk.take({job(i)}));
        desk.set_waiting(job(i), true);
    }
    CHECK(slots.taken() == 2);   // five wait
    CHECK_FALSE(desk.take({job(5)}));
    desk.set_waiting(job(0), false);
    CHECK(slots.taken() == 2);
    desk.release(job(1));
    CHECK(slots.taken() == 1);
    CHECK(desk.take({job(5)}));
}

TEST_CASE("two factories share the slots: who was turned away gets the next one, and nobody the other's attempt", "[agent][self]")
{
    FakeClock clock;
    Slots slots(1, clock);
    Desk busy(slots), other(slots);
    int told = 0;
    other.set_on_change([&] { ++told; });
    const protocol::AttemptId first{"a", 1, 1}, second{"b", 1, 1}, third{"c", 1, 1};
    REQUIRE(busy.take({first}));
    CHECK(busy.take({first}));         // an offer that came twice
    CHECK_FALSE(other.take({first}));  // a name of somebody else's
    CHECK(slots.taken() == 1);
    CHECK_FALSE(other.take({second}));
    CHECK_FALSE(other.resting());      // no slot: nothing is known of when
    busy.release(first);
    CHECK(told == 1);
    CHECK((busy.free() == 0 && other.free() == 1));
    CHECK_FALSE(busy.take({third}));
    CHECK(other.take({second}));
    other.release(second);
    // Its turn now; but it does not come, and then the slot is anybody's.
    CHECK((busy.free() == 1 && other.free() == 0));
    REQUIRE(other.resting());
    clock.advance(*other.resting());
    CHECK((busy.free() == 1 && other.free() == 1));
    CHECK(other.take({third}));
    // Two that wait do not keep it from each other.
    Desk late(slots);
    CHECK_FALSE(busy.take({first}));
    CHECK_FALSE(late.take({second}));
    other.release(third);
    CHECK((busy.free() == 1 && late.free() == 1 && other.free() == 0));

    Slots roomy(3, clock);
    Desk ours(roomy), theirs(roomy);
    REQUIRE(ours.take({first}));
    CHECK_FALSE(theirs.take({first}));   // not for want of a slot
    CHECK(theirs.take({second}));
}

TEST_CASE("no new jobs before the disk is full, with room kept for the ends of those that run", "[agent][self]")
{
    Config config;
    const auto mib = [](std::uint64_t n) { return n * 1024 * 1024; };
    const auto why = [&](std::uint64_t total, std::uint64_t free, unsigned held, bool was_short = false, std::uint64_t journals = 0) {
        return short_of_room({{mib(total), mib(free)}, held, journals}, config, "/data", was_short);
    };
    CHECK(why(100'000, 90, 0).empty());
    CHECK_THAT(why(100'000, 80, 0), Catch::Contains("80MiB free under /data") && Catch::Contains("keepFree"));   // 64 and 17 for an end
    CHECK_FALSE(why(100'000, 90, 1).empty());
    CHECK(why(100'000, 700, 30).empty());
    CHECK_FALSE(why(100'000, 90, 0, true).empty());   // not at once again
    CHECK(why(100'000, 110, 0, true).empty());
    CHECK(why(2, 1, 0).empty());                      // a small disk is no reason by itself
    CHECK(why(2, 0, 0).find("disk: ") == 0);
    CHECK_THAT(why(100'000, 50'000, 0, false, mib(1025)), Catch::Contains("quotas: journal"));

    FakeClock clock;
    Slots slots(2, clock);
    Desk desk(slots);
    int told = 0;
    desk.set_on_change([&] { ++told; });
    slots.short_of("disk: 1");
    slots.short_of("disk: 2");
    CHECK((told == 1 && desk.free() == 0 && desk.unable() == "disk: 2"));
    slots.short_of("");
    CHECK((told == 2 && desk.free() == 2 && desk.unable().empty()));
}

TEST_CASE("a log line goes to the factory that it is about, and what is said of the machine to each", "[agent][self]")
{
    const Folder folder;
    FakeClock clock;
    auto ours = OwnLog::open(folder.path + "/ours", clock).value(), theirs = OwnLog::open(folder.path + "/theirs", clock).value();
    const protocol::AttemptId job{"0199-job", 2, 3};
    const auto texts = [](const OwnLog& log) {
        std::vector<std::string> out;
        for (const OwnLog::Line& line : log.pending(100)) out.push_back(line.text);
        return out;
    };
    CHECK(attempt_in_line("0199-job.2.3: refused: no") == job);
    for (const char* none : {"refused: no", "0199-job.2.3", "a.b.c: d", "", ": x"}) CHECK_FALSE(attempt_in_line(none));
    {
        const LogCopy copy({{"F1", ours.get(), [&](const protocol::AttemptId& id) { return id == job; }}, {"F2", theirs.get(), [](const protocol::AttemptId&) { return false; }}});
        log::error("agent", "of the machine");
        log::error("job", "{}: of the first", job.key());
        const std::string second = "F2";
        std::thread([&] {
            const LogCopy::Of of(second);
            log::error("link", "of the second");
        }).join();
        log::error("agent", "again of the machine");
    }
    log::error("agent", "when it is over");
    CHECK(texts(*ours) == std::vector<std::string>{"of the machine", job.key() + ": of the first", "again of the machine"});
    CHECK(texts(*theirs) == std::vector<std::string>{"of the machine", "of the second", "again of the machine"});
}

TEST_CASE("what may be asked of a running agent, and how wrong words are answered", "[agent][self]")
{
    Routes routes;
    CHECK(routes.post("/pause", R"({"why":"lunch","for":"30m"})").status == 200);
    REQUIRE(routes.paused);
    CHECK((routes.paused->by == "ada" && routes.paused->why == "lunch" && routes.paused->until == routes.clock.now() + 30min));
    CHECK(routes.post("/resume").status == 200);
    CHECK_FALSE(routes.paused);
    for (const char* bad : {R"({"for":"soon"})", R"({"until":"tomorrow"})", R"({"until":"2001-01-01T00:00:00Z"})", R"({"for":"1h","until":"2099-01-01T00:00:00Z"})",
                            R"({"whom":"me"})", R"({"why":5})", "[]", "{", "nonsense"}) {
        CHECK(routes.post("/pause", bad).status == 400);
        CHECK_FALSE(routes.paused);
    }
    routes.saved = fail(Errc::unavailable, "no space left");
    CHECK(routes.post("/pause").status == 500);

    CHECK(routes.post("/stop", R"({"after":"job","within":"5m","why":"moving"})").status == 200);
    REQUIRE(routes.left);
    CHECK((routes.left->finish_jobs && !routes.left->again && routes.left->within == 5min && routes.left->why == "stopped by ada: moving"));
    routes.left.reset();
    CHECK(routes.post("/stop", R"({"after":"lunch"})").status == 400);
    CHECK_FALSE(routes.left);
    CHECK(routes.post("/stop").status == 200);
    CHECK_FALSE(routes.left->finish_jobs);

    routes.left.reset();
    routes.settings = fail(Errc::invalid, "config.yaml: slots");
    CHECK(routes.post("/reload").status == 409);
    CHECK(routes.post("/renew").status == 409);
    CHECK((!routes.left && routes.renewals == 0));
    routes.settings = {};
    routes.programs = fail(Errc::invalid, "millwright-keeper --version");
    CHECK(routes.post("/renew").status == 409);
    CHECK((!routes.left && routes.renewals == 0));
    routes.programs = {};
    CHECK(routes.post("/renew").status == 200);
    CHECK((routes.left->again && routes.renewals == 1));

    CHECK(routes.handler({"GET", "/pause", "", "ada"}).status == 405);
    CHECK(routes.handler({"POST", "/status", "", "ada"}).status == 404);
    CHECK(routes.handler({"GET", "/status?x=1", "", "ada"}).status == 404);
    CHECK(routes.handler({"GET", "/healthz", "", "ada"}).status == 200);
    routes.status.set("problems", Json(Json::Array{Json("no sandbox")}));
    CHECK(routes.handler({"GET", "/healthz", "", "ada"}).status == 503);
    // The port of loopback, where anybody of this machine may ask, acts on nothing and names no job.
    const auto reading = metrics_routes([&] { return routes.status; });
    CHECK(reading({"POST", "/stop", "", ""}).status == 405);
    CHECK(reading({"GET", "/status", "", ""}).status == 404);
    CHECK(reading({"GET", "/metrics", "", ""}).status == 200);
}

TEST_CASE("metrics are well formed whatever a name holds", "[agent][self]")
{
    const auto factory = [](const char* name, const char* url, int events) {
        return Json::object({{"name", name}, {"url", url}, {"mode", "unattended"}, {"outbox", Json::object({{"events", events}, {"bytes", 900}})}});
    };
    const auto loop = [](const char* name, const char* of, const char* state) { return Json::object({{"name", name}, {"of", of}, {"state", state}}); };
    Json good = loop("link", "http://x", "working");
    good.set("lastGood", "2026-11-26T10:00:01.000000Z");
    const Json status = Json::object({{"version", "1"}, {"since", "2026-11-26T10:00:00.500000Z"}, {"factories", Json(Json::Array{factory("a\"b\\c\nd", "http://x", 7), factory("e", "http://y", 0)})},
                                      {"slots", Json::object({{"total", 2}, {"taken", 1}, {"free", 1}})}, {"problems", Json::array()},
                                      {"loops", Json(Json::Array{good, loop("uplink", "http://y", "overdue"), Json::object({{"name", "runs"}, {"state", "working"}})})}});
    const std::string text = metrics_of(status);
    CHECK_THAT(text, Catch::Contains(R"(millwright_agent_info{name="a\"b\\c\nd",version="1")"));
    CHECK_THAT(text, Catch::Contains("millwright_agent_start_time_seconds 1795687200.500\n"));
    for (const char* line : {R"(millwright_agent_connected{factory="http://x"} 1)", R"(millwright_agent_connected{factory="http://y"} 0)",
                             R"(millwright_agent_outbox_events{factory="http://x"} 7)", R"(millwright_agent_loop_overdue{loop="uplink",factory="http://y"} 1)",
                             R"(millwright_agent_loop_overdue{loop="runs"} 0)"})
        CHECK_THAT(text, Catch::Contains(std::string(line) + "\n"));
    std::size_t helps = 0;
    for (std::size_t at = 0; (at = text.find("# HELP millwright_agent_loop_overdue", at)) != std::string::npos; ++at) ++helps;
    CHECK(helps == 1);
}

TEST_CASE("log lines wait on the disk until the factory has them, through a kill at any byte", "[agent][self]")
{
    const Folder folder;
    const std::string path = folder.path + "/log";
    FakeClock clock;
    {
        auto log = OwnLog::open(path, clock).value();
        log->take(log::Level::info, "link", "one");
        log->take(log::Level::error, "link", "two");
        log->acknowledge(log->pending(1)[0].sequence);
        log->take(log::Level::warning, "journal", "three");
    }
    const std::string whole = platform::read_file(path, 100'000).value();
    for (std::size_t length = 0; length <= whole.size(); ++length) {
        REQUIRE(platform::write_file(path, whole.substr(0, length), 0600));
        auto log = OwnLog::open(path, clock).value();
        const auto lines = log->pending(10);
        for (std::size_t i = 1; i < lines.size(); ++i) CHECK(lines[i].sequence > lines[i - 1].sequence);
        log->take(log::Level::info, "link", "four");
        CHECK(log->pending(10).size() == lines.size() + 1);
        CHECK(log->pending(10).back().text == "four");
        if (length == whole.size()) CHECK((lines.size() == 3 && lines[1].text == "two" && lines[1].level == "error" && lines[2].room == "journal"));
    }
}

TEST_CASE("a log over its quota loses its oldest lines and says how many", "[agent][self]")
{
    const Folder folder;
    FakeClock clock;
    auto log = OwnLog::open(folder.path + "/log", clock, 1000).value();
    for (int i = 0; i < 50; ++i) log->take(log::Level::info, "link", std::string(100, static_cast<char>('a' + i % 26)));
    auto lines = log->pending(100);
    REQUIRE(lines.size() == 11);
    CHECK_THAT(lines[0].text, Catch::StartsWith("40 lines before this one were not kept"));
    CHECK(lines[0].sequence < lines[1].sequence);
    log->acknowledge(lines[10].sequence);
    CHECK(log->wait_empty(Milliseconds(0)));
    CHECK(platform::read_file(folder.path + "/log", 10).value().empty());
    log->take(log::Level::info, "link", "next");
    REQUIRE(log->pending(10).size() == 1);
    // The file stays bounded, however long nobody takes the lines.
    for (int i = 0; i < 2000; ++i) log->take(log::Level::info, "link", std::string(100, 'x'));
    CHECK(platform::read_file(folder.path + "/log", 1'000'000).value().size() < 8000);
    log->take(log::Level::info, "link", std::string(1999, 'x') + "\xc3\xa9\xc3\xa9");
    CHECK(log->pending(100).back().text == std::string(1999, 'x'));
}

TEST_CASE("a factory that knows higher numbers makes the lines go above them", "[agent][self]")
{
    const Folder folder;
    FakeClock clock;
    auto log = OwnLog::open(folder.path + "/log", clock).value();
    log->take(log::Level::info, "link", "one");
    log->take(log::Level::info, "link", "two");
    const std::uint64_t last = log->pending(10)[1].sequence;
    log->acknowledge(last + 1000);
    REQUIRE(log->pending(10).size() == 2);
    CHECK(log->pending(10)[0].sequence == last + 1001);
    log->take(log::Level::info, "link", "three");
    CHECK(log->pending(10)[2].sequence == last + 1003);
}
