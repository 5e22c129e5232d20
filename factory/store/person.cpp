// What people start at their agents, what ran there, and what they said to jobs of others.
#include "factory/store/sqlite_reader.h"
#include "factory/store/sqlite_writer.h"

namespace mill::factory::sqlite {

Status SqliteWriter::put_person_job(AgentKey agent, JobKey job, std::string_view user, std::string_view launch)
{
    if (launch.empty()) return db_->run("insert into person_jobs(agent, job, user, launch) values (?1, ?2, ?3, null) on conflict(agent, job) do nothing", agent, job, user);
    return db_->run("insert into person_jobs(agent, job, user, launch) values (?1, ?2, ?3, ?4)", agent, job, user, launch);
}

Result<std::string> SqliteWriter::launched(AgentKey agent, std::string_view user, std::string_view launch)
{
    Rows rows = db_->query("select j.uid from person_jobs p join jobs j on j.id = p.job where p.agent = ?1 and p.user = ?2 and p.launch = ?3", agent, user, launch);
    if (!rows.next()) return none(rows, "launch", launch);
    return rows.string(0);
}

Result<std::string> SqliteWriter::launch_of(JobKey job)
{
    Rows rows = db_->query("select launch from person_jobs where job = ?1 and launch is not null", job);
    std::string out = rows.next() ? rows.string(0) : std::string();
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Status SqliteWriter::put_refusal(const KeptRefusal& r)
{
    return db_->run("insert or replace into refusals(agent, trigger, choice, who, said, until, job) values (?1, ?2, ?3, ?4, ?5, ?6, '')", r.agent, r.trigger, r.choice, r.who, r.said,
                    r.until);   // which job it was stands in that job's timeline
}

Status SqliteWriter::forget_refusals(AgentKey agent, WallTime until) { return db_->run("delete from refusals where agent = ?1 and until <= ?2", agent, until); }

Result<std::vector<Writer::KeptRefusal>> SqliteWriter::refusals()
{
    Rows rows = db_->query("select agent, trigger, choice, who, said, until from refusals");
    std::vector<KeptRefusal> out;
    while (rows.next()) out.push_back({rows.integer(0), rows.string(1), rows.string(2), rows.string(3), rows.time(4), rows.time(5)});
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<std::vector<std::string>> SqliteReader::person_jobs(std::string_view agent, std::string_view user, std::size_t limit)
{
    Rows rows = db_.query("select j.uid from person_jobs p join jobs j on j.id = p.job where p.agent = (select id from agents where uid = ?1 and deleted = 0) and p.user = ?2 "
                          "order by p.job desc limit ?3", agent, user, std::uint64_t{limit});
    std::vector<std::string> out;
    while (rows.next()) out.push_back(rows.string(0));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

Result<bool> SqliteReader::is_person_job(std::string_view agent, std::string_view user, std::string_view job)
{
    Rows rows = db_.query("select 1 from person_jobs p join jobs j on j.id = p.job where p.agent = (select id from agents where uid = ?1 and deleted = 0) and p.user = ?2 and j.uid = ?3",
                          agent, user, job);
    const bool found = rows.next();
    if (!rows.status()) return fail(rows.status().error());
    return found;
}

}  // namespace mill::factory::sqlite
