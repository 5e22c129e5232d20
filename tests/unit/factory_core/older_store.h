// tests/unit/factory_core/older_store.h -- makes a store what a program of before left: takes back what each later step of the schema made.
#pragma once

#include <iterator>
#include <string>

#include <catch2/catch.hpp>
#include <sqlite3.h>

namespace mill::factory::test {

/// Undoes steps 4, 5, … (factory/store/schema.cpp); a new step adds its line.
inline constexpr const char* kUndo[] = {
    "alter table agents drop column approved_in;",
    "drop table schedules; drop table firings;",
    "alter table attempts drop column epoch; alter table agents drop column reported;",
    "alter table packages drop column state; alter table packages drop column state_by; alter table packages drop column state_why; alter table packages drop column state_at; "
    "drop table version_moves;",
    "drop table notifier_states; drop index deliveries_pending; drop index deliveries_behind; drop index deliveries_dead; alter table deliveries drop column subject;",
    "drop table trials;",
    "drop table signatures;",
    "alter table audit drop column hash; alter table documents drop column source;",
    "drop index jobs_ready; drop index jobs_closed; alter table jobs drop column closed; drop index idempotency_job; drop table files; drop table long_logs; "
    "alter table events drop column at; alter table events drop column size; drop table removed; drop table job_minutes; drop table delivery_minutes; drop table series; drop table points;",
    "drop table questions; drop table causes;",
    "alter table deliveries drop column kept; drop table callbacks;",
    "",
    "alter table agents drop column user; drop table person_jobs; drop table refusals;",
    "alter table agents drop column sessions; alter table agents drop column machine; drop index jobs_ready; alter table jobs drop column turn; create index jobs_ready on jobs(binding, priority desc, id) where state = 0; delete from settings where key = 'ageing';",
};

/// The store in `folder` as `step` (3 or later) left it, without what this program would do more.
inline void make_older(const std::string& folder, int step)
{
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open((folder + "/factory.db").c_str(), &db) == SQLITE_OK);
    std::string script;
    for (int undone = static_cast<int>(std::size(kUndo)) + 3; undone > step; --undone) script += kUndo[undone - 4];
    script += "pragma user_version = " + std::to_string(step);
    char* error = nullptr;
    if (sqlite3_exec(db, script.c_str(), nullptr, nullptr, &error) != SQLITE_OK) FAIL(error);
    sqlite3_close(db);
}

}  // namespace mill::factory::test
