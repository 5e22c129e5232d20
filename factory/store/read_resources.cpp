#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "factory/store/sqlite_reader.h"

namespace mill::factory::sqlite {
namespace {

Document document_row(const Rows& rows)
{
    return {.kind = rows.string(0), .name = rows.string(1), .uid = rows.string(2), .spec = rows.json(3),
            .generation = static_cast<std::uint64_t>(rows.integer(4)), .created = rows.time(5), .changed = rows.time(6),
            .changed_by = rows.string(7), .source = rows.string(8)};
}

PackageRecord package_row(const Rows& rows)
{
    return {.name = rows.string(0), .version = rows.string(1), .digest = rows.string(2),
            .size = static_cast<std::uint64_t>(rows.integer(3)), .manifest = rows.json(4), .created = rows.time(5),
            .created_by = rows.string(6), .state = static_cast<PackageState>(rows.integer(7)), .state_by = rows.string(8),
            .state_why = rows.string(9), .state_at = rows.optional_time(10)};
}

TokenRecord token_row(const Rows& rows)
{
    return {.id = rows.string(0), .kind = rows.string(1), .sha256 = rows.string(2), .subject = rows.string(3), .scope = rows.json(4),
            .created = rows.time(5), .expires = rows.optional_time(6), .last_used = rows.optional_time(7)};
}

/// All rows of a query as values.
template <class T, class Read>
Result<std::vector<T>> all(Rows rows, Read read)
{
    std::vector<T> out;
    while (rows.next()) out.push_back(read(rows));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

}  // namespace

tl::unexpected<Error> none(const Rows& rows, std::string_view what, std::string_view name)
{
    if (!rows.status()) return fail(rows.status().error());
    return fail(Errc::not_found, fmt::format("there is no {} '{}'", what, name));
}

Result<std::int64_t> read_cursor(std::string_view cursor)
{
    std::int64_t value = 0;
    if (cursor.empty()) return value;
    const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), value);
    if (error != std::errc() || end != cursor.data() + cursor.size() || value < 0)
        return fail(Errc::invalid, fmt::format("'{}' is no cursor of this list", cursor.substr(0, 60)));
    return value;
}

Result<Document> SqliteReader::document(std::string_view kind, std::string_view name)
{
    Rows rows = db_.query("select kind, name, uid, spec, generation, created, changed, changed_by, source from documents where kind = ?1 and name = ?2",
                          kind, name);
    if (!rows.next()) return none(rows, kind, name);
    return document_row(rows);
}

Result<std::vector<Document>> SqliteReader::documents(std::string_view kind)
{
    return all<Document>(db_.query("select kind, name, uid, spec, generation, created, changed, changed_by, source from documents where kind = ?1 order by name",
                                   kind), document_row);
}

Result<PackageRecord> SqliteReader::package(std::string_view package_name, std::string_view version)
{
    Rows rows = db_.query("select name, version, digest, size, manifest, created, created_by, state, state_by, state_why, state_at from packages where name = ?1 and version = ?2",
                          package_name, version);
    if (!rows.next()) return none(rows, "package", fmt::format("{}@{}", package_name, version));
    return package_row(rows);
}

Result<PackageRecord> SqliteReader::package_by_digest(std::string_view digest)
{
    Rows rows = db_.query("select name, version, digest, size, manifest, created, created_by, state, state_by, state_why, state_at from packages where digest = ?1 limit 1", digest);
    if (!rows.next()) return none(rows, "package", digest);
    return package_row(rows);
}

Result<std::vector<PackageRecord>> SqliteReader::packages()
{
    return all<PackageRecord>(db_.query("select name, version, digest, size, manifest, created, created_by, state, state_by, state_why, state_at from packages order by name, id"),
                              package_row);
}

Result<Json> SqliteReader::package_inputs(std::string_view digest)
{
    Rows rows = db_.query("select inputs from package_inputs where digest = ?1", digest);
    if (!rows.next()) return none(rows, "the inputs of package", digest);
    return rows.json(0);
}

Result<CredentialRecord> SqliteReader::credential(std::string_view credential_name)
{
    Rows rows = db_.query("select name, about, generation, created, changed, sealed from credentials where name = ?1", credential_name);
    if (!rows.next()) return none(rows, "credential", credential_name);
    return CredentialRecord{.name = rows.string(0), .about = rows.json(1), .sealed = rows.string(5),
                            .generation = static_cast<std::uint64_t>(rows.integer(2)), .created = rows.time(3), .changed = rows.time(4)};
}

Result<std::vector<CredentialRecord>> SqliteReader::credentials()
{
    return all<CredentialRecord>(db_.query("select name, about, generation, created, changed from credentials order by name"),
                                 [](const Rows& rows) {
                                     return CredentialRecord{.name = rows.string(0), .about = rows.json(1), .sealed = {},
                                                             .generation = static_cast<std::uint64_t>(rows.integer(2)),
                                                             .created = rows.time(3), .changed = rows.time(4)};
                                 });
}

Result<TokenRecord> SqliteReader::token(std::string_view id)
{
    Rows rows = db_.query("select id, kind, sha256, subject, scope, created, expires, last_used from tokens where id = ?1", id);
    if (!rows.next()) return none(rows, "token", id);
    return token_row(rows);
}

Result<std::vector<TokenRecord>> SqliteReader::tokens(std::string_view kind, std::string_view subject)
{
    return all<TokenRecord>(db_.query("select id, kind, sha256, subject, scope, created, expires, last_used from tokens "
                                      "where (?1 = '' or kind = ?1) and (?2 = '' or subject = ?2) order by created, id", kind, subject),
                            token_row);
}

Result<std::vector<CodeRecord>> SqliteReader::codes()
{
    return all<CodeRecord>(db_.query("select id, sha256, terms, uses_left, created, expires, created_by from codes order by created, id"),
                           [](const Rows& rows) {
                               return CodeRecord{.id = rows.string(0), .sha256 = rows.string(1), .terms = rows.json(2),
                                                 .uses_left = static_cast<std::uint32_t>(rows.integer(3)), .created = rows.time(4),
                                                 .expires = rows.time(5), .created_by = rows.string(6)};
                           });
}

AgentRecord agent_row(const Rows& rows)
{
    AgentRecord agent;
    agent.id = rows.string(1);
    agent.name = rows.string(2);
    agent.public_key = rows.string(3);
    agent.mode = static_cast<protocol::AgentMode>(rows.integer(4));
    agent.environment = rows.string(5);
    agent.labels = rows.json(6);
    agent.facts = rows.json(7);
    agent.approved = rows.boolean(8);
    agent.frozen = rows.boolean(9);
    agent.paused = rows.boolean(10);
    agent.slots = static_cast<std::uint32_t>(rows.integer(11));
    agent.counter = static_cast<std::uint64_t>(rows.integer(12));
    agent.created = rows.time(13);
    agent.approved_in = rows.json(16);
    agent.user = rows.string(17);
    agent.sessions = rows.boolean(18);
    agent.machine = rows.string(19);
    agent.last_seen = rows.optional_time(14);
    agent.goodbye = rows.string(15);
    return agent;
}

Result<AgentRecord> SqliteReader::agent(std::string_view id)
{
    static const std::string sql = fmt::format("select {} from agents where uid = ?1 and deleted = 0", kAgentColumns);
    Rows rows = db_.query(sql.c_str(), id);
    if (!rows.next()) return none(rows, "agent", id);
    return agent_row(rows);
}

Result<AgentRecord> SqliteReader::agent_by_name(std::string_view agent_name)
{
    static const std::string sql = fmt::format("select {} from agents where name = ?1 and deleted = 0", kAgentColumns);
    Rows rows = db_.query(sql.c_str(), agent_name);
    if (!rows.next()) return none(rows, "agent", agent_name);
    return agent_row(rows);
}

Result<std::vector<AgentRecord>> SqliteReader::agents()
{
    static const std::string sql = fmt::format("select {} from agents where deleted = 0 order by name", kAgentColumns);
    return all<AgentRecord>(db_.query(sql.c_str()), agent_row);
}

Result<std::vector<AgentLogLine>> SqliteReader::agent_log(std::string_view agent_name, std::uint64_t after, std::size_t limit)
{
    const auto line_of = [](const Rows& row) {
        return AgentLogLine{static_cast<std::uint64_t>(row.integer(0)), row.time(1), row.string(2), row.string(3), row.string(4)};
    };
    if (auto known = agent_by_name(agent_name); !known) return fail(known.error());
    if (after > 0)
        return all<AgentLogLine>(db_.query("select sequence, time, level, room, text from agent_log where agent = (select id from agents where name = ?1 and deleted = 0) "
                                           "and sequence > ?2 order by sequence limit ?3", agent_name, after, std::uint64_t{limit}),
                                 line_of);
    auto newest = all<AgentLogLine>(db_.query("select sequence, time, level, room, text from agent_log where agent = (select id from agents where name = ?1 and deleted = 0) "
                                              "order by sequence desc limit ?2", agent_name, std::uint64_t{limit}),
                                    line_of);
    if (newest) std::reverse(newest->begin(), newest->end());
    return newest;
}

Result<std::string> SqliteReader::setting(std::string_view key)
{
    Rows rows = db_.query("select value from settings where key = ?1", key);
    if (!rows.next()) return none(rows, "setting", key);
    return rows.string(0);
}

}  // namespace mill::factory::sqlite
