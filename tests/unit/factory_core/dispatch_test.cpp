#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "factory/dispatch/board.h"
#include "platform/base/text.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::dispatch;

namespace {

AgentRecord agent(const std::string& name, Json facts = Json::object())
{
    AgentRecord out;
    out.name = name;
    out.public_key = "k";
    out.environment = "prod";
    out.approved = true;
    out.facts = std::move(facts);
    return out;
}

Needs needs(const std::string& trigger, Json rules = Json::object()) { return read_needs(trigger, "prod", rules); }

std::string first(const Json& wanted, const Json& facts)
{
    const auto missing = missing_facts(wanted, agent("a", facts));
    return missing.empty() ? "" : missing.front();
}

}  // namespace

TEST_CASE("patterns match names with stars and question marks", "[dispatch]")
{
    CHECK(matches_pattern("srv-*", "srv-12"));
    CHECK(matches_pattern("*", ""));
    CHECK(matches_pattern("a*b*c", "aXbYbZc"));
    CHECK(matches_pattern("srv-?", "srv-1"));
    CHECK_FALSE(matches_pattern("srv-?", "srv-12"));
    CHECK_FALSE(matches_pattern("srv-*", "lap-1"));
    CHECK_FALSE(matches_pattern("", "x"));
    CHECK_FALSE(matches_pattern(std::string(50, '*') + "b", std::string(5'000, 'a')));   // and does not take for ever
}

TEST_CASE("facts are compared by what they are", "[dispatch]")
{
    const Json facts = Json::object({{"os", Json::object({{"name", "linux"}, {"version", "12"}})},
                                     {"programs", Json::object({{"python3", "3.11.2"}, {"node", Json::object({{"version", "18.20"}})}})},
                                     {"millwright", "0.3.1"},
                                     {"screen", true}});
    CHECK(first(Json::object({{"os", "linux"}}), facts).empty());
    CHECK(first(Json::object({{"os", Json::array({"windows", "linux"})}}), facts).empty());
    CHECK(first(Json::object({{"os", "windows"}}), facts) == "has os linux, windows is asked for");
    CHECK(first(Json::object({{"programs", Json::array({"python3", "node"})}}), facts).empty());
    CHECK(first(Json::object({{"programs", Json::object({{"python3", ">=3.9"}, {"node", "18"}})}}), facts).empty());
    CHECK(first(Json::object({{"programs", Json::object({{"python3", ">=3.12"}})}}), facts) == "has 'python3' 3.11.2, >=3.12 is asked for");
    CHECK(first(Json::object({{"programs", "gedit"}}), facts) == "has no program 'gedit'");
    CHECK(first(Json::object({{"millwright", ">=0.3"}}), facts).empty());
    CHECK(first(Json::object({{"millwright", ">=1.0"}}), facts) == "runs millwright 0.3.1, >=1.0 is asked for");
    CHECK(first(Json::object({{"screen", true}}), facts).empty());
    const Json isolated = Json::object({{"isolation", Json::object({{"uid", "shared"}, {"memory", "cgroup-v2"}})}});
    CHECK(first(Json::object({{"isolation", Json::object({{"uid", "separate"}})}}), isolated) == "has isolation.uid shared, separate is asked for");
    CHECK(first(Json::object({{"isolation", Json::object({{"memory", Json::array({"cgroup-v1", "cgroup-v2"})}})}}), isolated).empty());
    CHECK(first(Json::object({{"isolation", Json::object({{"uid", "shared"}})}}), Json::object()) == R"(has isolation unknown, {"uid":"shared"} is asked for)");
    CHECK(first(Json::object({{"gpu", true}}), facts) == "has gpu unknown, true is asked for");
    CHECK(first(Json::object({{"programs", Json::array({"awk"})}}), Json::object({{"programs", Json::array({"awk", "sed"})}})).empty());
}

TEST_CASE("a freed agent takes the most urgent job of all queues it fits", "[dispatch]")
{
    Board board;
    board.put_needs(1, needs("a"));
    board.put_needs(2, needs("b"));
    board.put_needs(3, needs("c", Json::object({{"requires", Json::object({{"programs", "x"}})}})));
    board.add_ready(10, 1, -50);
    board.add_ready(11, 2, -60);
    board.add_ready(12, 3, -99);   // fits nobody
    board.add_ready(13, 1, -60);
    board.put_agent(1, agent("srv-1"));
    CHECK_FALSE(board.next());
    board.want(1, 2);
    auto match = board.next();
    REQUIRE(match);
    CHECK(match->job == 11);
    match = board.next();
    REQUIRE(match);
    CHECK(match->job == 13);
    CHECK_FALSE(board.next());
    CHECK(board.wanted(1) == 0);
}

TEST_CASE("jobs go round among equal agents, and to the preferred group first", "[dispatch]")
{
    Board board;
    board.put_needs(1, needs("a"));
    for (int i = 1; i <= 3; ++i) {
        board.put_agent(i, agent("srv-" + std::to_string(i)));
        board.want(i, 2);
    }
    CHECK_FALSE(board.next());
    std::vector<AgentKey> order;
    for (int job = 1; job <= 6; ++job) {
        board.add_ready(job, 1, -50);
        const auto match = board.next();
        REQUIRE(match);
        order.push_back(match->agent);
    }
    CHECK(order == std::vector<AgentKey>{1, 2, 3, 1, 2, 3});

    board.put_environment(read_environment("prod", Json::object({{"groups", Json::array({Json::object({{"name", "best"}, {"agents", Json::array({"srv-3"})}})})},
                                                                {"agents", Json::array({"srv-*"})}})));
    for (int i = 1; i <= 3; ++i) board.want(i, 1);
    CHECK_FALSE(board.next());
    board.add_ready(7, 1, -50);
    CHECK(board.next()->agent == 3);
    board.add_ready(8, 1, -50);
    CHECK(board.next()->agent == 1);
}

TEST_CASE("a group may require facts of its agents", "[dispatch]")
{
    const auto where = read_environment("prod", Json::object({{"groups", Json::array({Json::object({{"name", "screens"},
                                                                                                    {"agents", Json::array({"*"})},
                                                                                                    {"requires", Json::object({{"screen", true}})}})})}}));
    CHECK(lacks(needs("a"), where, agent("srv-1", Json::object({{"screen", true}}))).empty());
    const auto lacking = lacks(needs("a"), where, agent("srv-2"));
    REQUIRE(lacking.size() == 1);
    CHECK(lacking[0].code == "missing_fact");
}

TEST_CASE("jobs of an environment with a user of its own go to agents that can change to it", "[dispatch]")
{
    const auto where = read_environment("prod", Json::object({{"agents", Json::array({"*"})}, {"runAs", "mw-prod"}}));
    const auto isolated = [](const char* uid) { return Json::object({{"isolation", Json::object({{"uid", uid}})}}); };
    CHECK(lacks(needs("a"), where, agent("srv-1", isolated("separate"))).empty());
    const auto lacking = lacks(needs("a"), where, agent("srv-2", isolated("shared")));
    REQUIRE(lacking.size() == 1);
    CHECK_THAT(lacking[0].text, Catch::Contains("srv-2") && Catch::Contains("'mw-prod'"));
}

TEST_CASE("an agent whose machine lacks a credential that machines hold gets no such job, and it is said so", "[dispatch]")
{
    const auto where = read_environment("prod", Json::object({{"agents", Json::array({"*"})}}));
    const Needs both = needs("a", Json::object({{"machineCredentials", Json::array({"erp", "crm"})}}));
    const auto holding = [](Json::Array names) { return agent("srv-1", Json::object({{"credentials", Json(std::move(names))}})); };
    CHECK(lacks(both, where, holding({"crm", "erp", "more"})).empty());
    CHECK(lacks(both, where, holding({"*"})).empty());
    CHECK(lacks(needs("a"), where, agent("srv-1")).empty());
    const auto lacking = lacks(both, where, holding({"crm"}));
    REQUIRE(lacking.size() == 1);
    CHECK(lacking[0].code == "missing_credential");
    CHECK_THAT(lacking[0].text, Catch::Contains("srv-1 does not hold credential 'erp'") && Catch::Contains("erp.yaml"));
    CHECK(lacks(both, where, agent("srv-1")).size() == 2);  // an agent of an earlier version does not say what it holds
}

TEST_CASE("a limit of a trigger frees its queue when a job ends", "[dispatch]")
{
    Board board;
    board.put_needs(1, needs("a", Json::object({{"concurrency", 2}})));
    board.put_agent(1, agent("srv-1"));
    board.want(1, 10);
    for (int job = 1; job <= 4; ++job) board.add_ready(job, 1, -50);
    CHECK(board.next()->job == 1);
    CHECK(board.next()->job == 2);
    CHECK_FALSE(board.next());
    board.vacate(1, 1);
    CHECK(board.next()->job == 3);
    CHECK_FALSE(board.next());
}

namespace {

/// A board with the store's part played by a set: jobs of one binding.
struct LongQueue {
    Board board;
    std::set<std::pair<Turn, JobKey>> stored;
    std::map<JobKey, Turn> turns;

    void add(JobKey job, int priority)
    {
        stored.insert({-priority, job});
        turns[job] = -priority;
        board.add_ready(job, 1, -priority);
    }
    void feed()
    {
        while (const auto binding = board.hungry()) {
            std::vector<std::pair<JobKey, Turn>> first;
            for (const auto& [turn, job] : stored) {
                if (first.size() == Board::kKept) break;
                first.emplace_back(job, turn);
            }
            board.refill(*binding, first);
        }
    }
    std::optional<Match> next()
    {
        feed();
        board.want(1, 1);
        auto match = board.next();
        if (match) stored.erase({turns.at(match->job), match->job});
        return match;
    }
    explicit LongQueue(std::size_t jobs)
    {
        board.put_needs(1, needs("a"));
        board.put_agent(1, agent("srv-1"));
        for (std::size_t job = 1; job <= jobs; ++job) add(static_cast<JobKey>(job), 50);
    }
};

}  // namespace

TEST_CASE("a decision looks at as much with 200,000 waiting jobs as with 2,000, and memory holds the beginning of the queue", "[dispatch]")
{
    std::uint64_t visits[2] = {};
    for (const std::size_t i : {0U, 1U}) {
        LongQueue queue(i == 0 ? 2'000 : 200'000);
        CHECK(queue.board.ready_count(1) == (i == 0 ? 2'000 : 200'000));
        for (JobKey job = 1; job <= 1'500; ++job) {
            const auto match = queue.next();
            REQUIRE(match);
            REQUIRE(match->job == job);
            REQUIRE(queue.board.kept() <= 2 * Board::kKept);
        }
        visits[i] = queue.board.visits();
    }
    CHECK(visits[1] == visits[0]);
    CHECK(visits[1] < 1'500 * 4);
}

TEST_CASE("what is more urgent than all that is in memory goes first, and what is less urgent comes when its time is there", "[dispatch]")
{
    LongQueue queue(5'000);
    REQUIRE(queue.board.kept() <= 2 * Board::kKept);
    queue.add(6'001, 90);
    queue.add(6'002, 10);
    queue.add(6'003, 50);
    CHECK(queue.next()->job == 6'001);
    for (JobKey job = 1; job <= 5'000; ++job) {
        if (job % 7 == 0) {                     // cancelled, from the front as well as from the part that only the store has
            queue.stored.erase({-50, job});
            queue.board.remove_ready(job, 1, -50);
        }
    }
    CHECK(queue.board.ready_count(1) == 5'000 - 714 + 2);
    for (JobKey job = 1; job <= 5'000; ++job) {
        if (job % 7 == 0) continue;
        const auto match = queue.next();
        REQUIRE(match);
        REQUIRE(match->job == job);
    }
    CHECK(queue.next()->job == 6'003);
    CHECK(queue.next()->job == 6'002);
    CHECK_FALSE(queue.next());
}

TEST_CASE("queues that wait for a lock are not looked at by every agent that asks, and all of them when it is free", "[dispatch][locks]")
{
    Board board;
    constexpr BindingKey kQueues = 500;
    board.put_agent(1, agent("srv-1"));
    for (BindingKey binding = 1; binding <= kQueues; ++binding) {
        board.put_needs(binding, needs("t" + std::to_string(binding), Json::object({{"locks", Json::array({"erp"})}})));
        for (JobKey job = 0; job < 10; ++job) board.add_ready(binding * 100 + job, binding, binding == 400 ? -70 : -50);
    }
    board.want(1, 1);
    REQUIRE(board.next()->binding == 400);
    board.want(1, 1);
    REQUIRE_FALSE(board.next());
    const auto before = board.visits();
    for (int i = 0; i < 1'000; ++i) {
        board.want(1, 1);
        REQUIRE_FALSE(board.next());
    }
    CHECK(board.visits() == before);
    // The lock is free: the most urgent of all gets it, not the queue with the lowest number.
    board.vacate(400, 40'000);
    CHECK(board.next()->binding == 400);
    board.vacate(400, 40'001);
    board.remove_ready(40'002, 400, -70);
    board.want(1, 1);
    CHECK(board.next()->job == 40'003);
}
