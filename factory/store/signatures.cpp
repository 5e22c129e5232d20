// Publishers' signatures of packages: read and written.
#include "factory/store/sqlite_reader.h"
#include "factory/store/sqlite_writer.h"

namespace mill::factory::sqlite {
namespace {

SignatureRecord signature_row(const Rows& rows)
{
    return {.digest = rows.string(0), .signature = {rows.string(1), rows.string(2), rows.string(3)}, .created = rows.time(4), .created_by = rows.string(5)};
}

Result<std::vector<SignatureRecord>> signature_rows(Rows rows)
{
    std::vector<SignatureRecord> out;
    while (rows.next()) out.push_back(signature_row(rows));
    if (!rows.status()) return fail(rows.status().error());
    return out;
}

}  // namespace

Result<std::vector<SignatureRecord>> SqliteReader::signatures(std::string_view digest)
{
    return signature_rows(db_.query("select digest, key, manifest, signature, created, created_by from signatures where digest = ?1 order by created, key", digest));
}

Result<std::vector<SignatureRecord>> SqliteReader::signatures()
{
    return signature_rows(db_.query("select digest, key, manifest, signature, created, created_by from signatures order by digest, created, key"));
}

Status SqliteWriter::put_signature(const SignatureRecord& s)
{
    return db_->run("insert into signatures(digest, key, manifest, signature, created, created_by) values (?1, ?2, ?3, ?4, ?5, ?6)", s.digest, Blob{s.signature.key},
                    s.signature.manifest, Blob{s.signature.bytes}, s.created, s.created_by);
}

}  // namespace mill::factory::sqlite
