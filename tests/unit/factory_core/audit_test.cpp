// The audit log's chain of hashes: what was changed behind the factory's back is found, and named.
#include <sqlite3.h>

#include "factory/store/writer.h"
#include "tests/unit/factory_core/older_store.h"
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

struct Kept {
    std::shared_ptr<Folder> folder = std::make_shared<Folder>();
    std::string head;   ///< as somebody kept it elsewhere
    std::uint64_t rows = 0;
};

/// A store in which things happened, closed.
Kept store_with_rows()
{
    Kept out;
    World world({}, out.folder);
    world.orders();
    for (const char* name : {"test", "stage", "lab"}) world.put("Environment", name, Json::object());
    const auto verdict = world.core().reader()->verify_audit({});
    REQUIRE(verdict);
    REQUIRE(verdict->holds());
    out.head = verdict->head;
    out.rows = verdict->rows;
    return out;
}

void change(const Kept& kept, const std::string& sql)
{
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open((kept.folder->path + "/factory.db").c_str(), &db) == SQLITE_OK);
    INFO(sql);
    CHECK(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    CHECK(sqlite3_changes(db) > 0);
    sqlite3_close(db);
}

AuditVerdict verdict_of(const Kept& kept, std::string_view head = {})
{
    auto verdict = verify_audit_of(kept.folder->path, head);
    REQUIRE(verdict);
    return *verdict;
}

}  // namespace

TEST_CASE("each row of the audit log stands on the one before, through restarts and refused operations", "[core][audit]")
{
    const Kept kept = store_with_rows();
    CHECK(kept.rows >= 5);
    World world({}, kept.folder);
    CHECK(world.core().reader()->verify_audit(kept.head)->holds());
    REQUIRE(await<Nothing>([&](auto done) { world.core().note("use", "Credential", "erp", Json::object({{"job", "j-1"}}), world.who, done); }));
    const auto after = world.core().reader()->verify_audit(kept.head);
    CHECK(after->holds());
    CHECK(after->rows == kept.rows + 1);
    CHECK(after->head != kept.head);
    CHECK(world.core().reader()->audit({}, 1)->items.at(0).hash == after->head);
}

TEST_CASE("what is undone after it was written leaves no gap in the chain", "[core][audit]")
{
    Folder folder;
    auto store = open_store(folder.path);
    REQUIRE(store);
    Writer& writer = (*store)->writer();
    const AuditRow row{.id = 0, .time = {1}, .who = "admin", .remote = {}, .action = "put", .kind = "Token", .subject = "t", .detail = {}, .hash = {}};
    REQUIRE(writer.begin());
    REQUIRE(writer.savepoint());
    REQUIRE(writer.audit(row));
    writer.rollback_to_savepoint();
    REQUIRE(writer.savepoint());
    REQUIRE(writer.audit(row));
    REQUIRE(writer.release());
    REQUIRE(writer.commit());
    REQUIRE(writer.begin());
    REQUIRE(writer.audit(row));
    writer.rollback();
    REQUIRE(writer.begin());
    REQUIRE(writer.audit(row));
    REQUIRE(writer.commit());
    const auto verdict = writer.read().verify_audit({});
    REQUIRE(verdict);
    CHECK(verdict->why.empty());
    CHECK(verdict->rows == 2);
}

TEST_CASE("what is changed in the file is found, and the first wrong row is named", "[core][audit]")
{
    const Kept kept = store_with_rows();
    SECTION("a word")
    {
        change(kept, "update audit set who = 'nobody' where id = 3");
        CHECK(verdict_of(kept).wrong == 3);
        CHECK_THAT(verdict_of(kept).why, Catch::Contains("row 3"));
    }
    SECTION("every member counts")
    {
        for (const char* member : {"time = time + 1", "remote = 'x'", "action = 'y'", "kind = 'z'", "subject = 'v'", "detail = null", "detail = 'x' || substr(detail, 2)"}) {
            const Kept other = store_with_rows();
            change(other, std::string("update audit set ") + member + " where id = 2");
            CHECK(verdict_of(other).wrong == 2);
        }
    }
    SECTION("a hash, or none")
    {
        change(kept, "update audit set hash = null where id = 2");
        CHECK(verdict_of(kept).wrong == 2);
        World world({}, kept.folder);   // no start makes it good again
        CHECK(world.core().reader()->verify_audit({})->wrong == 2);
    }
    SECTION("a row that is gone")
    {
        change(kept, "delete from audit where id = 3");
        CHECK(verdict_of(kept).wrong == 4);
        CHECK_THAT(verdict_of(kept).why, Catch::Contains("gone"));
    }
    SECTION("two that changed places")
    {
        change(kept, "update audit set id = -1 where id = 2; update audit set id = 2 where id = 3; update audit set id = 3 where id = -1;");
        CHECK(verdict_of(kept).wrong == 2);
    }
    SECTION("one that was put in")
    {
        change(kept, "insert into audit(id, time, who, remote, action, kind, subject, detail, hash) select max(id) + 1, 0, 'x', '', 'put', 'Token', 't', null, zeroblob(32) from audit");
        CHECK(verdict_of(kept).wrong == kept.rows + 1);
    }
    SECTION("a cut end, by a hash that was kept")
    {
        change(kept, "delete from audit where id > 2");
        CHECK(verdict_of(kept).holds());
        CHECK_FALSE(verdict_of(kept, kept.head).holds());
        CHECK(verdict_of(kept, kept.head).wrong == 3);
        World world({}, kept.folder);   // what is written now does not hide it
        world.put("Environment", "later", Json::object());
        CHECK_FALSE(world.core().reader()->verify_audit(kept.head)->holds());
    }
    SECTION("all of it")
    {
        change(kept, "delete from audit");
        CHECK_FALSE(verdict_of(kept, kept.head).holds());
    }
}

TEST_CASE("the rows of a store of before are chained when it is upgraded, once", "[core][audit]")
{
    const Kept kept = store_with_rows();
    make_older(kept.folder->path, 10);
    CHECK(verify_audit_of(kept.folder->path, {}).error().code == Errc::invalid);
    {
        World world({}, kept.folder);
        const auto verdict = world.core().reader()->verify_audit({});
        CHECK(verdict->holds());
        CHECK(verdict->rows == kept.rows);
        CHECK(verdict->head == kept.head);   // the same rows, the same hashes
    }
    CHECK(verdict_of(kept, kept.head).holds());
}

TEST_CASE("the chain goes on from where retention cut its beginning off", "[core][audit]")
{
    const Kept kept = store_with_rows();
    change(kept, "insert into settings(key, value) select 'audit_anchor', id || ':' || lower(hex(hash)) from audit where id = 2; delete from audit where id <= 2");
    CHECK(verdict_of(kept, kept.head).holds());
    CHECK(verdict_of(kept).rows == kept.rows - 2);
    change(kept, "delete from audit where id = 3");
    CHECK(verdict_of(kept).wrong == 4);
}

TEST_CASE("an anchor that is set behind rows which are there hides none of them", "[core][audit]")
{
    const Kept kept = store_with_rows();
    change(kept, "insert into settings(key, value) select 'audit_anchor', id || ':' || lower(hex(hash)) from audit where id = 3; update audit set who = 'nobody' where id = 1");
    CHECK(verdict_of(kept).wrong == 1);
    CHECK(verdict_of(kept, kept.head).wrong == 1);
}

TEST_CASE("the audit log is asked by who, what and when", "[core][audit]")
{
    World world;
    world.orders();
    const WallTime before = world.clock().now();
    world.pass(minutes(5));
    world.put("Environment", "test", Json::object());
    const auto found = [&](AuditQuery query) {
        query.limit = 100;
        const auto page = world.core().reader()->audit(query);
        REQUIRE(page);
        return page->items.size();
    };
    AuditQuery query;
    query.kind = "Environment";
    CHECK(found(query) == 1);
    query.kind = "Trigger";
    query.subject = "orders";
    CHECK(found(query) == 1);
    query.subject = "other";
    CHECK(found(query) == 0);
    AuditQuery late;
    late.since = before + minutes(1);
    CHECK(found(late) == 1);
    AuditQuery early;
    early.until = before + minutes(1);
    CHECK(found(early) >= 3);
    AuditQuery who;
    who.who = "nobody";
    CHECK(found(who) == 0);
}
