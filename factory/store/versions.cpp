// What a published version is for, the versions that deployments had, and those that are tried: read and written.
#include <fmt/format.h>

#include "factory/store/sqlite_reader.h"
#include "factory/store/sqlite_writer.h"

namespace mill::factory {

namespace {
constexpr std::string_view kPackageStates[] = {"draft", "released", "deprecated", "decommissioned"};
}

std::string_view name(PackageState state)
{
    const auto index = static_cast<std::size_t>(state);
    return index < std::size(kPackageStates) ? kPackageStates[index] : "?";
}

std::optional<PackageState> parse_package_state(std::string_view text)
{
    for (std::size_t i = 0; i < std::size(kPackageStates); ++i)
        if (kPackageStates[i] == text) return static_cast<PackageState>(i);
    return std::nullopt;
}

std::string state_words(const PackageRecord& package)
{
    if (!package.state_at) return fmt::format("is {}", package.state == PackageState::draft ? "a draft" : name(package.state));
    return fmt::format("was {} by {} at {}{}{}", name(package.state), package.state_by, format_time(*package.state_at), package.state_why.empty() ? "" : ": ",
                       package.state_why);
}

namespace sqlite {
namespace {

VersionMove move_row(const Rows& rows)
{
    return {.time = rows.time(0), .who = rows.string(1), .what = rows.string(2), .from = rows.string(3), .to = rows.string(4), .why = rows.string(5),
            .generation = static_cast<std::uint64_t>(rows.integer(6)), .rebound = static_cast<std::uint64_t>(rows.integer(7)), .spec = rows.json(8)};
}

}  // namespace

Result<std::vector<VersionMove>> SqliteReader::version_moves(std::string_view deployment, std::size_t limit)
{
    Rows rows = db_.query("select time, who, what, version_from, version_to, why, generation, rebound, spec from version_moves where deployment = ?1 "
                          "order by id desc limit ?2", deployment, std::uint64_t{limit});
    std::vector<VersionMove> out;
    while (rows.next()) out.push_back(move_row(rows));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::optional<VersionMove>> SqliteReader::last_move(std::string_view deployment, std::string_view version)
{
    Rows rows = db_.query("select time, who, what, version_from, version_to, why, generation, rebound, null from version_moves where deployment = ?1 "
                          "and version_from <> version_to and (version_from = ?2 or version_to = ?2) order by id desc limit 1", deployment, version);
    if (rows.next()) return std::optional(move_row(rows));
    if (!rows.status()) return fail(rows.status().error());
    return std::optional<VersionMove>();
}

Result<std::vector<Trial>> SqliteReader::trials()
{
    Rows rows = db_.query("select deployment, spec, generation, version_from, version_to, agents, jobs, succeeded, started, who from trials order by deployment");
    std::vector<Trial> out;
    while (rows.next())
        out.push_back({.deployment = rows.string(0), .spec = rows.json(1), .generation = static_cast<std::uint64_t>(rows.integer(2)), .from = rows.string(3),
                       .to = rows.string(4), .group = rows.string(5), .jobs = static_cast<std::uint64_t>(rows.integer(6)),
                       .succeeded = static_cast<std::uint64_t>(rows.integer(7)), .started = rows.time(8), .who = rows.string(9)});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Status SqliteWriter::put_trial(const Trial& t)
{
    return db_->run("insert or replace into trials(deployment, spec, generation, version_from, version_to, agents, jobs, succeeded, started, who) "
                    "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", t.deployment, dump_json(t.spec), t.generation, t.from, t.to, t.group, t.jobs, t.succeeded,
                    t.started, t.who);
}

Status SqliteWriter::delete_trial(std::string_view deployment) { return db_->run("delete from trials where deployment = ?1", deployment); }

Status SqliteWriter::package_state(const PackageRecord& p)
{
    return db_->run("update packages set state = ?3, state_by = ?4, state_why = ?5, state_at = ?6 where name = ?1 and version = ?2", p.name, p.version,
                    static_cast<int>(p.state), p.state_by, p.state_why, p.state_at);
}

Status SqliteWriter::put_version_move(std::string_view deployment, const VersionMove& m)
{
    if (auto ok = db_->run("insert into version_moves(deployment, time, who, what, version_from, version_to, why, generation, rebound, spec) "
                           "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", deployment, m.time, m.who, m.what, m.from, m.to, m.why, m.generation,
                           m.rebound, dump_json(m.spec));
        !ok)
        return ok;
    return db_->run("delete from version_moves where deployment = ?1 and id <= (select id from version_moves where deployment = ?1 order by id desc "
                    "limit 1 offset ?2)", deployment, std::uint64_t{kVersionMoves});
}

Status SqliteWriter::delete_version_moves(std::string_view deployment)
{
    return db_->run("delete from version_moves where deployment = ?1", deployment);
}

}  // namespace sqlite
}  // namespace mill::factory
