#include "factory/store/sqlite_writer.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::factory::sqlite {

SqliteWriter::SqliteWriter(std::unique_ptr<Database> db, std::string folder)
    : db_(std::move(db)), reader_(*db_, folder), folder_(std::move(folder)), values_(*db_, folder_), sweeper_(*db_, folder_)
{
}

Status SqliteWriter::start()
{
    const auto last = reader_.last_feed_sequence();
    if (!last) return fail(last.error());
    sequence_ = *last;
    auto head = audit_head(*db_);
    if (!head) return fail(std::move(head.error()));
    audit_head_ = std::move(*head);
    if (const auto kept = reader_.setting("feed_last"); kept) sequence_ = std::max<std::uint64_t>(sequence_, std::strtoull(kept->c_str(), nullptr, 10));
    else if (kept.error().code != Errc::not_found) return fail(kept.error());
    // What the process before had taken and not finished is due again: at least once.
    return db_->run("update deliveries set claimed = case when exists(select 1 from notifier_states s where s.notifier = deliveries.notifier and s.held_since is not null) "
                    "then 2 else 0 end where state = 0 and claimed = 1");
}

Status SqliteWriter::begin()
{
    sequence_kept_ = sequence_saved_ = sequence_;
    ended_ = ended_saved_ = {};
    audit_kept_ = audit_saved_ = audit_head_;
    return db_->run("begin");
}

Status SqliteWriter::write_totals()
{
    for (std::size_t i = 0; i < ended_.size(); ++i) {
        if (ended_[i] == 0) continue;
        if (auto ok = db_->run("update totals set count = count + ?2 where state = ?1", std::int64_t(i) + 4, ended_[i]); !ok) return ok;
    }
    return {};
}

Status SqliteWriter::commit()
{
    if (auto ok = write_totals(); !ok) return ok;
    if (auto ok = db_->run("commit"); !ok) return ok;
    values_.settled();
    return {};
}

void SqliteWriter::rollback()
{
    sequence_ = sequence_kept_;
    audit_head_ = audit_kept_;
    trigger_of_.clear();
    values_.undone();
    (void)sweeper_.take_files();   // their rows are there again
    if (!db_->in_transaction()) return;   // SQLite has rolled back by itself
    if (auto ok = db_->run("rollback"); !ok) log::error("store", "rollback: {}", ok.error().what);
}

Status SqliteWriter::savepoint()
{
    sequence_saved_ = sequence_;
    ended_saved_ = ended_;
    audit_saved_ = audit_head_;
    return db_->run("savepoint one");
}

Status SqliteWriter::release() { return db_->run("release one"); }

void SqliteWriter::rollback_to_savepoint()
{
    sequence_ = sequence_saved_;
    ended_ = ended_saved_;
    audit_head_ = audit_saved_;
    trigger_of_.clear();
    for (const char* sql : {"rollback to one", "release one"})
        if (auto ok = db_->run(sql); !ok) log::error("store", "{}: {}", sql, ok.error().what);
}

Status SqliteWriter::put_setting(std::string_view key, std::string_view value)
{
    return db_->run("insert into settings(key, value) values (?1, ?2) on conflict(key) do update set value = ?2", key, value);
}

Status SqliteWriter::put_document(const Document& d)
{
    return db_->run("insert into documents(kind, name, uid, spec, generation, created, changed, changed_by, source) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
                    "on conflict(kind, name) do update set spec = ?4, generation = ?5, changed = ?7, changed_by = ?8, source = ?9",
                    d.kind, d.name, d.uid, dump_json(d.spec), d.generation, d.created, d.changed, d.changed_by, d.source);
}

Status SqliteWriter::delete_document(std::string_view kind, std::string_view name)
{
    return db_->run("delete from documents where kind = ?1 and name = ?2", kind, name);
}

Status SqliteWriter::put_package(const PackageRecord& p, std::string_view bytes)
{
    const std::string path = fmt::format("{}/packages/{}.mwp", folder_, std::string_view(p.digest).substr(7));
    if (!platform::exists(path))
        if (auto ok = platform::write_file(path, bytes, 0644); !ok) return fail("keeping the package", ok.error());
    return db_->run("insert into packages(name, version, digest, size, manifest, created, created_by, state) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    p.name, p.version, p.digest, p.size, dump_json(p.manifest), p.created, p.created_by, static_cast<int>(p.state));
}

Status SqliteWriter::put_package_inputs(std::string_view digest, const Json& inputs)
{
    return db_->run("insert into package_inputs(digest, inputs) values (?1, ?2) on conflict(digest) do update set inputs = ?2", digest, dump_json(inputs));
}

Status SqliteWriter::put_credential(const CredentialRecord& c)
{
    return db_->run("insert into credentials(name, about, sealed, generation, created, changed) values (?1, ?2, ?3, ?4, ?5, ?6) "
                    "on conflict(name) do update set about = ?2, sealed = ?3, generation = ?4, changed = ?6",
                    c.name, dump_json(c.about), Blob{c.sealed}, c.generation, c.created, c.changed);
}

Status SqliteWriter::delete_credential(std::string_view name) { return db_->run("delete from credentials where name = ?1", name); }

Status SqliteWriter::put_token(const TokenRecord& t)
{
    return db_->run("insert into tokens(id, kind, sha256, subject, scope, created, expires, last_used) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
                    "on conflict(id) do update set sha256 = ?3, subject = ?4, scope = ?5, expires = ?7",
                    t.id, t.kind, Blob{t.sha256}, t.subject, t.scope, t.created, t.expires, t.last_used);
}

Status SqliteWriter::delete_token(std::string_view id) { return db_->run("delete from tokens where id = ?1", id); }

Status SqliteWriter::touch_token(std::string_view id, WallTime when)
{
    return db_->run("update tokens set last_used = ?2 where id = ?1", id, when);
}

Status SqliteWriter::put_code(const CodeRecord& c)
{
    return db_->run("insert into codes(id, sha256, terms, uses_left, created, expires, created_by) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    c.id, Blob{c.sha256}, dump_json(c.terms), c.uses_left, c.created, c.expires, c.created_by);
}

Result<CodeRecord> SqliteWriter::code(std::string_view id)
{
    Rows rows = db_->query("select id, sha256, terms, uses_left, created, expires, created_by from codes where id = ?1", id);
    if (!rows.next()) return none(rows, "enrolment code", id);
    return CodeRecord{.id = rows.string(0), .sha256 = rows.string(1), .terms = rows.json(2),
                      .uses_left = static_cast<std::uint32_t>(rows.integer(3)), .created = rows.time(4), .expires = rows.time(5),
                      .created_by = rows.string(6)};
}

Result<std::string> SqliteWriter::code_used_by(std::string_view id, std::string_view public_key)
{
    Rows rows = db_->query("select agent from code_uses where code = ?1 and public_key = ?2", id, Blob{public_key});
    if (!rows.next()) return none(rows, "use of the code", id);
    return rows.string(0);
}

Status SqliteWriter::use_code(std::string_view id, std::string_view public_key, std::string_view agent)
{
    if (auto ok = db_->run("update codes set uses_left = uses_left - 1 where id = ?1", id); !ok) return ok;
    return db_->run("insert into code_uses(code, public_key, agent) values (?1, ?2, ?3)", id, Blob{public_key}, agent);
}

}  // namespace mill::factory::sqlite
