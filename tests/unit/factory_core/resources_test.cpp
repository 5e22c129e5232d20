#include "platform/files.h"
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

TEST_CASE("documents have generations, and an unchanged one is left alone", "[core][resources]")
{
    World world;
    const auto first = world.put("Environment", "prod", Json::object({{"agents", Json::array({"srv-*"})}}));
    CHECK(first.generation == 1);
    CHECK(world.put("Environment", "prod", Json::object({{"agents", Json::array({"srv-*"})}})).generation == 1);
    const auto second = world.put("Environment", "prod", Json::object({{"agents", Json::array({"*"})}}));
    CHECK(second.generation == 2);
    CHECK(second.uid == first.uid);
    const auto stale = await<Document>([&](auto done) { world.core().put_document("Environment", "prod", Json::object(), 1, world.who, done); });
    REQUIRE_FALSE(stale);
    CHECK(stale.error().code == Errc::conflict);
    world.restart();
    const auto read = world.core().reader()->document("Environment", "prod");
    REQUIRE(read);
    CHECK(read->spec["agents"].as_array().at(0).as_string() == "*");
    const auto audit = world.core().reader()->audit("", 10);
    REQUIRE(audit);
    CHECK(audit->items.size() == 2);
}

TEST_CASE("what others refer to is not deleted", "[core][resources]")
{
    World world;
    world.orders();
    const auto remove = [&](const std::string& kind, const std::string& name) { return await<Nothing>([&](auto done) { world.core().delete_document(kind, name, world.who, done); }); };
    const auto used = remove("Deployment", "order-status");
    REQUIRE_FALSE(used);
    CHECK(used.error().code == Errc::conflict);
    CHECK_THAT(used.error().what, Catch::Contains("Trigger 'orders'"));
    CHECK(remove("Trigger", "orders"));
    CHECK(remove("Deployment", "order-status"));
    CHECK(remove("Deployment", "order-status").error().code == Errc::not_found);
}

TEST_CASE("a package version never changes, and its bytes lie in a file of its digest", "[core][resources]")
{
    World world;
    const auto put = [&](const std::string& bytes) {
        return await<PackageRecord>([&](auto done) { world.core().put_package("p", "1.0.0", bytes, Json::object({{"name", "p"}}), Json::object(), PackageState::released, world.who, done); });
    };
    const auto first = put("one");
    REQUIRE(first);
    CHECK(put("one")->digest == first->digest);
    const auto other = put("two");
    REQUIRE_FALSE(other);
    CHECK(other.error().code == Errc::conflict);
    CHECK(platform::read_file(world.core().package_path(first->digest), 100).value() == "one");
    CHECK(world.core().reader()->package_by_digest(first->digest)->name == "p");
}

TEST_CASE("tokens are kept by their hash, and their last use is written", "[core][resources]")
{
    World world;
    const protocol::Token token = protocol::make_token("trigger");
    TokenRecord record;
    record.id = token.id;
    record.kind = token.kind;
    record.sha256 = platform::sha256(token.text);
    record.subject = "orders";
    REQUIRE(await<TokenRecord>([&](auto done) { world.core().put_token(record, world.who, done); }));
    world.core().touch_token(token.id);
    world.core().flush();
    const auto read = world.core().reader()->token(token.id);
    REQUIRE(read);
    CHECK(read->sha256 == record.sha256);
    CHECK(read->last_used == world.clock().now());
    CHECK(world.core().reader()->tokens("trigger", "orders")->size() == 1);
    CHECK(await<Nothing>([&](auto done) { world.core().delete_token(token.id, world.who, done); }));
    CHECK(world.core().reader()->token(token.id).error().code == Errc::not_found);
}

TEST_CASE("lists are paged by cursor, newest first, and filtered", "[core][lists]")
{
    World world;
    world.orders();
    std::vector<std::string> uids;
    for (int i = 0; i < 25; ++i) uids.push_back(world.run().uid);
    REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(uids[3], "", world.who, done); }));
    std::vector<std::string> read;
    JobQuery query;
    query.limit = 10;
    query.trigger = "orders";
    for (int page = 0; page < 4; ++page) {
        const auto jobs = world.core().reader()->jobs(query);
        REQUIRE(jobs);
        for (const auto& job : jobs->items) read.push_back(job.uid);
        if (jobs->next.empty()) break;
        query.cursor = jobs->next;
    }
    std::reverse(uids.begin(), uids.end());
    CHECK(read == uids);
    query = {};
    query.state = JobState::cancelled;
    CHECK(world.core().reader()->jobs(query)->items.size() == 1);
    query.state = JobState::ready;
    CHECK(world.core().reader()->jobs(query)->items.size() == 24);
    query = {};
    query.environment = "nowhere";
    CHECK(world.core().reader()->jobs(query)->items.empty());
    query = {};
    query.cursor = "x'; drop table jobs";
    CHECK(world.core().reader()->jobs(query).error().code == Errc::invalid);
    const auto totals = world.core().reader()->totals();
    REQUIRE(totals);
    CHECK(totals->ready == 24);
    CHECK(totals->cancelled == 1);
}

TEST_CASE("the feed tells every change once, in order, and goes on behind a sequence", "[core][lists]")
{
    World world;
    std::uint64_t heard = 0;
    const auto subscription = world.core().wakeups().subscribe(Wakeups::Topic::feed, [&](std::uint64_t sequence) { heard = sequence; });
    world.orders();
    const auto job = world.run();
    const auto all = world.core().reader()->feed(0, 100);
    REQUIRE(all);
    REQUIRE_FALSE(all->empty());
    for (std::size_t i = 1; i < all->size(); ++i) CHECK((*all)[i].sequence == (*all)[i - 1].sequence + 1);
    CHECK(all->back().subject == job.uid);
    CHECK(all->back().what == "ready");
    CHECK(heard == all->back().sequence);
    CHECK(world.core().reader()->last_feed_sequence().value() == heard);
    const auto rest = world.core().reader()->feed(all->back().sequence - 1, 100);
    REQUIRE(rest);
    CHECK(rest->size() == 1);
}

TEST_CASE("a data folder belongs to one factory at a time", "[core][store]")
{
    World world;
    CoreOptions options;
    options.folder = world.folder();
    options.timer_thread = false;
    const auto second = start_core(options, world.clock());
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::conflict);
}
