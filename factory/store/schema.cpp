#include "factory/store/schema.h"

#include <fmt/format.h>

#include "factory/store/audit.h"

namespace mill::factory::sqlite {
namespace {

// Step N makes version N out of N-1. A step that was released never changes: a later one mends it.
// Times are microseconds since 1970; states and modes are the numbers of their enumerations.
constexpr const char* kSteps[] = {
    R"sql(
create table settings(key text primary key, value text not null) without rowid;
create table documents(id integer primary key, kind text not null, name text not null, uid text not null, spec text not null,
    generation integer not null, created integer not null, changed integer not null, changed_by text not null, unique(kind, name));
create table packages(id integer primary key, name text not null, version text not null, digest text not null, size integer not null,
    manifest text not null, created integer not null, created_by text not null, unique(name, version));
create index packages_digest on packages(digest);
create table credentials(name text primary key, about text not null, sealed blob not null, generation integer not null,
    created integer not null, changed integer not null) without rowid;
create table tokens(id text primary key, kind text not null, sha256 blob not null, subject text not null, scope text,
    created integer not null, expires integer, last_used integer) without rowid;
create index tokens_subject on tokens(kind, subject);
create table codes(id text primary key, sha256 blob not null, terms text not null, uses_left integer not null,
    created integer not null, expires integer not null, created_by text not null) without rowid;
create table code_uses(code text not null references codes(id) on delete cascade, public_key blob not null, agent text not null,
    primary key(code, public_key)) without rowid;
create table agents(id integer primary key, uid text not null unique, name text not null, public_key blob not null,
    mode integer not null, mode_set integer not null default 0, environment text not null, labels text, facts text,
    approved integer not null, frozen integer not null, paused integer not null, slots integer not null,
    counter integer not null default 0, jti text not null default '', jti_answer text not null default '',
    created integer not null, last_seen integer, goodbye text not null default '', deleted integer not null default 0);
create unique index agents_name on agents(name) where deleted = 0;
create table names(id integer primary key, name text not null unique);
create table bindings(id integer primary key, key text not null unique, trigger_id integer not null references names(id),
    deployment text not null, environment text not null, workflow text not null, package_name text not null,
    package_version text not null, package_digest text not null, repeatable integer not null, spec text not null);
create table jobs(id integer primary key, uid text not null unique, binding integer not null references bindings(id),
    trigger_id integer not null, state integer not null, reason integer, priority integer not null, created integer not null,
    expires integer, assigned integer, started integer, ended integer, attempt integer not null default 0, agent integer,
    requested_by text not null, retry_of text not null, retried_by text not null default '',
    cancel_by text, cancel_why text, cancel_at integer);
create index jobs_trigger on jobs(trigger_id, id);
create index jobs_active on jobs(state, id) where state < 4;
create index jobs_unsuccessful on jobs(state, id) where state > 4;
create index jobs_expiry on jobs(expires) where state = 0 and expires is not null;
create table inputs(job integer primary key references jobs(id), input text, context text);
create table outcomes(job integer primary key references jobs(id), output text, error text, evidence text);
create table attempts(job integer not null references jobs(id), attempt integer not null, agent integer not null references agents(id),
    assigned integer not null, token text not null, acknowledged integer not null default 0, bytes integer not null default 0,
    lost_steps integer not null default 0, lost_logs integer not null default 0, primary key(job, attempt)) without rowid;
create table events(id integer primary key, job integer not null, attempt integer not null, first integer not null,
    last integer not null, kinds integer not null, stale integer not null, lines blob not null);
create index events_job on events(job, attempt, first);
create table feed(sequence integer primary key, time integer not null, kind text not null, job integer, subject text,
    what text not null, attempt integer not null, agent text, reason text, detail text);
create index feed_job on feed(job, sequence) where job is not null;
create table idempotency(scope text not null, key text not null, sha256 text not null, job integer not null,
    created integer not null, primary key(scope, key)) without rowid;
create index idempotency_created on idempotency(created);
create table deliveries(id integer primary key, uid text not null unique, job integer, notifier text not null, event text not null,
    final integer not null, state integer not null, claimed integer not null default 0, created integer not null,
    next_try integer, finished integer, attempts integer not null default 0, error text not null, overtook integer not null default 0,
    request text);
create index deliveries_job on deliveries(job, id);
create index deliveries_due on deliveries(next_try) where state = 0 and claimed = 0;
create index deliveries_open on deliveries(state, id) where state <> 1;
create index deliveries_notifier on deliveries(notifier, id);
create table delivery_attempts(delivery integer not null references deliveries(id), number integer not null, time integer not null,
    request text, status integer not null, response text not null, error text not null, took_ms integer not null,
    primary key(delivery, number)) without rowid;
create table audit(id integer primary key, time integer not null, who text not null, remote text not null, action text not null,
    kind text not null, subject text not null, detail text);
create table totals(state integer primary key, count integer not null);
insert into totals(state, count) values (4, 0), (5, 0), (6, 0), (7, 0);
)sql",
    // What the check of a package found out about its workflows' inputs. A package kept by an earlier program has no row yet.
    R"sql(
create table package_inputs(digest text primary key, inputs text not null) without rowid;
)sql",
    // What agents say of themselves.
    R"sql(
create table agent_log(agent integer not null references agents(id), sequence integer not null, time integer not null, level text not null,
    room text not null, text text not null, primary key(agent, sequence)) without rowid;
)sql",
    // An approval holds for environments. Agents of before keep theirs for all of them (null).
    R"sql(
alter table agents add column approved_in text;
)sql",
    // What came of each time at which a schedule was to fire. `trigger`: its document's uid, so that a new one of the same name has its own.
    R"sql(
create table schedules(trigger text primary key, rule text not null, considered integer not null) without rowid;
create table firings(trigger text not null, due integer not null, at integer not null, outcome integer not null, job text not null,
    why text not null, decided integer not null, times integer not null, primary key(trigger, due)) without rowid;
)sql",
    // An attempt keeps the epoch that it was made in; an agent has said again what it did before the epoch `reported` began. No store was
    // restored by a program of before.
    R"sql(
alter table attempts add column epoch integer not null default 1;
alter table agents add column reported integer not null default 0;
)sql",
    // What a published version is for, and the versions that a deployment had. All that was published before is released; the history of a
    // deployment begins with what it is now. `deployment`: its document's uid.
    R"sql(
alter table packages add column state integer not null default 1;
alter table packages add column state_by text not null default '';
alter table packages add column state_why text not null default '';
alter table packages add column state_at integer;
create table version_moves(id integer primary key, deployment text not null, time integer not null, who text not null, what text not null,
    version_from text not null, version_to text not null, why text not null, generation integer not null, rebound integer not null, spec text not null);
create index version_moves_deployment on version_moves(deployment, id);
insert into version_moves(deployment, time, who, what, version_from, version_to, why, generation, rebound, spec)
    select uid, changed, changed_by, 'applied', '', coalesce(json_extract(spec, '$.package'), ''), '', generation, 0, spec from documents
    where kind = 'Deployment' order by id;
)sql",
    // What a delivery is about when that is no job, and how it goes with each notifier's receiver. `claimed` 2: held.
    R"sql(
alter table deliveries add column subject text not null default '';
create index deliveries_pending on deliveries(notifier, next_try, id) where state = 0;
create index deliveries_behind on deliveries(notifier, subject, id) where state = 0 and job is null;
create index deliveries_dead on deliveries(notifier, id) where state = 2;
create table notifier_states(notifier text primary key, failures integer not null, held_since integer, next_probe integer,
    probes integer not null, why text not null) without rowid;
)sql",
    // Deployments whose new version a group of agents tries first. `spec`: what all others go on with.
    R"sql(
create table trials(deployment text primary key, spec text not null, generation integer not null, version_from text not null, version_to text not null,
    agents text not null, jobs integer not null, succeeded integer not null, started integer not null, who text not null) without rowid;
)sql",
    // Publishers' signatures of packages. What was published before has none.
    R"sql(
create table signatures(digest text not null, key blob not null, manifest text not null, signature blob not null, created integer not null,
    created_by text not null, primary key(digest, key)) without rowid;
)sql",
    // Each row of the audit log has a hash over the one before (those of before get theirs by chain_audit). `source`: of `apply --source`.
    R"sql(
alter table audit add column hash blob;
alter table documents add column source text not null default '';
)sql",
    // The order in which ready jobs of a binding go, so that memory holds the beginning of each queue only. When a job became final by the
    // factory's own clock, which is what its age is counted by; jobs of before have what their agents said. Long texts and the middle of long
    // logs lie in files. What retention removed: ever, and in the run that goes on. What is counted of each minute, and what others publish.
    R"sql(
create index jobs_ready on jobs(binding, priority desc, id) where state = 0;
alter table jobs add column closed integer;
create index jobs_closed on jobs(coalesce(closed, ended, created)) where state > 3;
create index idempotency_job on idempotency(job);
create table files(name text primary key, job integer not null, size integer not null) without rowid;
create index files_job on files(job);
create table long_logs(job integer not null, attempt integer not null, primary key(job, attempt)) without rowid;
alter table events add column at integer;
alter table events add column size integer;
create table removed(kind text primary key, ever integer not null, run integer not null) without rowid;
create table job_minutes(time integer not null, binding integer not null, state integer not null, reason integer not null, jobs integer not null,
    started integer not null, delay_sum integer not null, delay_min integer not null, delay_max integer not null, run_sum integer not null,
    run_min integer not null, run_max integer not null, primary key(time, binding, state, reason)) without rowid;
create table delivery_minutes(time integer not null, notifier text not null, outcome integer not null, deliveries integer not null,
    primary key(time, notifier, outcome)) without rowid;
create table series(id integer primary key, name text not null, unit text not null, dimensions text not null, created integer not null,
    last integer not null, unique(name, dimensions));
create table points(series integer not null, time integer not null, value real not null, primary key(series, time)) without rowid;
)sql",
    // What people are asked: yes or no before a job starts, or what one that runs wants to know. And which job's end started a job: once for each trigger.
    R"sql(
create table questions(id integer primary key, uid text not null unique, job integer not null references jobs(id) on delete cascade, attempt integer not null,
    kind integer not null, asked text not null, conversation text, created integer not null, deadline integer, state integer not null default 0, answer text,
    comment text not null default '', answered_by text not null default '', way text not null default '', closed integer, why text not null default '');
create index questions_job on questions(job);
create index questions_open on questions(id) where state = 0;
create index questions_before on questions(job) where state = 0 and attempt = 0;
create index questions_due on questions(deadline) where state = 0 and attempt > 0;
create index questions_conversation on questions(conversation) where state = 0 and conversation is not null;
create table causes(job integer primary key references jobs(id) on delete cascade, cause integer not null, trigger text not null, depth integer not null,
    asked_by text not null, unique(cause, trigger)) without rowid;
)sql",
    // What an answer names for later deliveries about the same job ({channel, ts} of a message that is edited), and whom a caller has told of
    // the end of its job ({url, secret}).
    R"sql(
alter table deliveries add column kept text;
create table callbacks(job integer primary key references jobs(id), spec text not null);
)sql",
    // 15: what a job asks while it runs.
    "",
    // Whose agent it is. What people started at their agents (`launch`: the agent's own id of that) and what ran there; and until when an agent's
    // user was not to be asked for jobs of a trigger again.
    R"sql(
alter table agents add column user text not null default '';
create table person_jobs(agent integer not null, job integer not null references jobs(id) on delete cascade, user text not null, launch text,
    primary key(agent, job)) without rowid;
create index person_jobs_job on person_jobs(job);
create unique index person_launches on person_jobs(agent, user, launch) where launch is not null;
create table refusals(agent integer not null, trigger text not null, choice text not null, who text not null, said integer not null, until integer not null,
    job text not null, primary key(agent, trigger)) without rowid;
)sql",
    // A job's place among those that wait, by its priority and its age together (factory/dispatch/ageing.h). Of jobs of before it is counted at the start.
    // Whether people's own agents may join through a machine's agent (`sessions`), and through whose one has joined (its uid).
    R"sql(
alter table agents add column sessions integer not null default 0;
alter table agents add column machine text not null default '';
alter table jobs add column turn integer not null default 0;
drop index jobs_ready;
create index jobs_ready on jobs(binding, turn, id) where state = 0;
)sql",
};
constexpr int kVersion = static_cast<int>(std::size(kSteps));
constexpr int kChained = 11;   // the step that chains the audit log

Result<int> version_of(Database& db)
{
    Rows rows = db.query("pragma user_version");
    if (!rows.next()) return fail(rows.status() ? Error{Errc::corrupt, "store: no user_version"} : rows.status().error());
    return static_cast<int>(rows.integer(0));
}

}  // namespace

Status migrate(Database& db)
{
    const auto version = version_of(db);
    if (!version) return fail(version.error());
    if (*version > kVersion)
        return fail(Errc::conflict, fmt::format("the store has schema {}, this program knows up to {}: use the newer program", *version, kVersion));
    for (int step = *version; step < kVersion; ++step) {
        const std::string text = fmt::format("begin immediate; {} pragma user_version = {};", kSteps[step], step + 1);
        Status ok = db.script(text.c_str());
        if (ok && step + 1 == kChained) ok = chain_audit(db);
        if (ok) ok = db.script("commit");
        if (!ok) {
            if (db.in_transaction()) (void)db.script("rollback");
            return fail(fmt::format("making schema {}", step + 1), ok.error());
        }
    }
    return {};
}

}  // namespace mill::factory::sqlite
