#include "factory/store/sqlite_writer.h"

namespace mill::factory::sqlite {

Result<AgentKey> SqliteWriter::insert_agent(const AgentRecord& a)
{
    if (auto ok = db_->run("insert into agents(uid, name, public_key, mode, environment, labels, facts, approved, frozen, paused, slots, created, approved_in, user, machine, sessions, reported) "
                           "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, coalesce((select cast(value as integer) from settings where key = 'epoch'), 1))",
                           a.id, a.name, Blob{a.public_key}, static_cast<int>(a.mode), a.environment, a.labels, a.facts, a.approved, a.frozen,
                           a.paused, a.slots, a.created, a.approved_in, a.user, a.machine, a.sessions);
        !ok)
        return fail(ok.error());
    return db_->last_id();
}

Status SqliteWriter::update_agent(AgentKey key, const AgentRecord& a, bool mode_set)
{
    return db_->run("update agents set mode = ?2, mode_set = ?3, environment = ?4, labels = ?5, facts = ?6, approved = ?7, frozen = ?8, "
                    "paused = ?9, slots = ?10, goodbye = ?11, approved_in = ?12, user = ?13, sessions = ?14 where id = ?1",
                    key, static_cast<int>(a.mode), mode_set, a.environment, a.labels, a.facts, a.approved, a.frozen, a.paused, a.slots, a.goodbye, a.approved_in, a.user, a.sessions);
}

Status SqliteWriter::agent_key(AgentKey key, std::string_view public_key, bool anew)
{
    if (!anew) return db_->run("update agents set public_key = ?2 where id = ?1", key, Blob{public_key});
    return db_->run("update agents set public_key = ?2, counter = 0, jti = '', jti_answer = '' where id = ?1", key, Blob{public_key});
}

Status SqliteWriter::delete_agent(AgentKey key)
{
    if (auto ok = db_->run("delete from tokens where kind = 'agent' and subject = (select uid from agents where id = ?1)", key); !ok) return ok;
    for (const char* gone : {"delete from agent_log where agent = ?1", "delete from person_jobs where agent = ?1", "delete from refusals where agent = ?1"})
        if (auto ok = db_->run(gone, key); !ok) return ok;
    return db_->run("update agents set deleted = 1 where id = ?1", key);   // jobs go on naming it
}

Status SqliteWriter::seen_agent(AgentKey key, WallTime when, std::string_view goodbye)
{
    return db_->run("update agents set last_seen = ?2, goodbye = ?3 where id = ?1", key, when, goodbye);
}

Result<std::uint64_t> SqliteWriter::add_agent_log(AgentKey key, const std::vector<AgentLogLine>& lines)
{
    std::uint64_t last = 0;
    {
        Rows rows = db_->query("select coalesce(max(sequence), 0) from agent_log where agent = ?1", key);
        if (!rows.next()) return none(rows, "agent", std::to_string(key));
        last = static_cast<std::uint64_t>(rows.integer(0));
    }
    for (const AgentLogLine& line : lines) {
        if (line.sequence <= last) continue;   // said twice
        if (auto ok = db_->run("insert into agent_log(agent, sequence, time, level, room, text) values (?1, ?2, ?3, ?4, ?5, ?6)", key, line.sequence, line.time,
                               line.level, line.room, line.text);
            !ok)
            return fail(ok.error());
        last = line.sequence;
    }
    if (auto ok = db_->run("delete from agent_log where agent = ?1 and sequence <= (select sequence from agent_log where agent = ?1 order by sequence desc limit 1 offset ?2)",
                           key, std::uint64_t{kAgentLogLines});
        !ok)
        return fail(ok.error());
    return last;
}

Status SqliteWriter::step_counter(AgentKey key, std::uint64_t counter, std::string_view jti, std::string_view answer)
{
    return db_->run("update agents set counter = ?2, jti = ?3, jti_answer = ?4 where id = ?1", key, counter, jti, answer);
}

Result<Writer::Counter> SqliteWriter::counter(AgentKey key)
{
    Rows rows = db_->query("select counter, jti, jti_answer from agents where id = ?1", key);
    if (!rows.next()) return none(rows, "agent", std::to_string(key));
    return Counter{static_cast<std::uint64_t>(rows.integer(0)), rows.string(1), rows.string(2)};
}

Status SqliteWriter::reported_agent(AgentKey key, std::uint64_t epoch) { return db_->run("update agents set reported = ?2 where id = ?1", key, epoch); }

Result<std::vector<Writer::KeptAgent>> SqliteWriter::load_agents()
{
    static const std::string sql = "select " + std::string(kAgentColumns) + ", mode_set, reported from agents where deleted = 0 order by name";
    Rows rows = db_->query(sql.c_str());
    std::vector<KeptAgent> out;
    while (rows.next()) out.push_back({rows.integer(0), agent_row(rows), rows.boolean(20), static_cast<std::uint64_t>(rows.integer(21))});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

}  // namespace mill::factory::sqlite
