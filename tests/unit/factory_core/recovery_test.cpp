#include <csignal>
#include <map>
#include <set>
#include <thread>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

CoreOptions options_of(const std::string& folder)
{
    CoreOptions options;
    options.folder = folder;
    options.renderer = [](const Notification& n) -> Result<Rendered> { return Rendered{.wanted = true, .request = Json::object({{"event", n.event}})}; };
    return options;
}

/// Writes one line to the parent; the kernel keeps it when this process is killed.
void tell(int to, char what, const std::string& uid)
{
    const std::string line = fmt::format("{} {}\n", what, uid);
    if (write(to, line.data(), line.size()) < 0) _exit(9);
}

/// A factory at work until it is killed: four jobs in flight, one agent that runs what it is offered.
[[noreturn]] void work(const std::string& folder, const std::string& agent, int to)
{
    auto started = start_core(options_of(folder), system_clock());
    if (!started) _exit(8);
    Core& core = **started;
    std::function<void()> poll;
    std::function<void()> accept = [&] {
        RunRequest request;
        request.trigger = "orders";
        request.input = Json::object({{"text", std::string(500, 'x')}});
        core.accept_run(request, {"test", ""}, [&](Result<Accepted> result) {
            if (!result) _exit(7);
            tell(to, 'A', result->job.uid);
            accept();
        });
    };
    const auto run = [&](const protocol::AttemptId& id) {
        EventBatch batch{id, {}};
        const WallTime now = system_clock().now();
        batch.events.push_back({1, protocol::state_event(1, now, JobState::running)});
        batch.events.push_back({2, World::line(2, "working")});
        batch.events.push_back({3, protocol::state_event(3, now, JobState::successful, Reason::completed, Json::object({{"output", id.job}}))});
        core.ingest(agent, {batch}, [&, job = id.job](Result<std::vector<EventAnswer>> answer) {
            if (answer && answer->at(0).acknowledged == 3) tell(to, 'F', job);
        });
    };
    poll = [&] {
        core.park({agent, 4, {}, {}}, [&](Result<PollAnswer> answer) {
            if (!answer) return;
            for (const auto& offer : answer->offers) run(offer.id);
            poll();
        });
    };
    poll();
    for (int i = 0; i < 4; ++i) accept();
    while (true) pause();
}

std::string integrity(const std::string& folder)
{
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open((folder + "/factory.db").c_str(), &db) == SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(db, "pragma integrity_check", -1, &statement, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    std::string text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return text;
}

}  // namespace

TEST_CASE("killed at any moment, the factory keeps what it acknowledged, and ends each job once", "[core][recovery]")
{
    const auto folder = std::make_shared<Folder>();
    std::string agent;
    {
        World world(options_of(folder->path), folder);
        world.orders();
        world.put("Notifier", "chat", Json::object({{"trigger", "orders"}, {"on", Json::array({"success"})}}));
        agent = world.agent("srv-1").id;
    }
    std::set<std::string> accepted, finished;
    for (int round = 0; round < 4; ++round) {
        int ends[2] = {-1, -1};
        REQUIRE(pipe(ends) == 0);
        const pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            work(folder->path, agent, ends[1]);
        }
        close(ends[1]);
        std::string text;
        char buffer[4096];
        // Killed somewhere behind a different number of answers each time, in the middle of what comes next.
        const std::size_t enough = 400 + static_cast<std::size_t>(round) * 7'777;
        while (text.size() < enough) {
            const ssize_t got = read(ends[0], buffer, sizeof buffer);
            REQUIRE(got > 0);
            text.append(buffer, static_cast<std::size_t>(got));
        }
        REQUIRE(kill(child, SIGKILL) == 0);
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(got));
        close(ends[0]);
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = text.find('\n', at);
            if (end == std::string::npos) break;
            (text[at] == 'A' ? accepted : finished).insert(text.substr(at + 2, end - at - 2));
            at = end + 1;
        }
    }
    CHECK(integrity(folder->path) == "ok");

    World world(options_of(folder->path), folder);
    REQUIRE(finished.size() > 20);
    std::map<std::string, int> ends;
    std::uint64_t last = 0;
    for (auto rows = world.core().reader()->feed(0, 1'000'000).value(); const FeedRow& row : rows) {
        CHECK(row.sequence == last + 1);
        last = row.sequence;
        if (row.kind == "job" && row.what == "successful") ++ends[row.subject];
    }
    for (const auto& [uid, count] : ends) CHECK(count == 1);
    auto reader = world.core().reader();
    for (const std::string& uid : accepted) CHECK(reader->job(uid).has_value());
    for (const std::string& uid : finished) {
        const auto job = reader->job(uid);
        REQUIRE(job);
        CHECK(job->state == JobState::successful);
        CHECK(job->output.as_string() == uid);
    }
    const auto totals = reader->totals();
    REQUIRE(totals);
    CHECK(totals->successful == ends.size());
    CHECK(totals->deliveries_pending == ends.size());   // one with each end, none without

    // What was on its way is offered again to the same agent, with the same numbers, and can end.
    AgentRecord srv;
    srv.id = agent;
    for (int i = 0; i < 200; ++i) {
        const auto parking = world.park(srv, 1'000);
        if (!parking.answered()) break;
        for (const auto& offer : parking.value().offers)
            world.report(srv, offer.id, {world.state(1, JobState::running), world.state(2, JobState::successful)});
    }
    const auto after = world.core().reader()->totals();
    REQUIRE(after);
    CHECK(after->ready + after->assigned == 0);
}

TEST_CASE("the log of the database is moved into it while the factory runs", "[core][recovery]")
{
    World world;
    world.orders();
    const auto size = [&](const char* file) { return std::filesystem::file_size(world.folder() + file); };
    const auto before = size("/factory.db");
    // A commit each: enough pages for the move to be asked for, far fewer than those after which the writer does it itself.
    for (int i = 0; i < 600; ++i) world.run(Json::object({{"n", i}}));
    for (int i = 0; i < 200 && size("/factory.db") == before; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(size("/factory.db") > before);
}
