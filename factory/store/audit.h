// factory/store/audit.h -- the chain of hashes through the audit log. factory/store/ only.
#pragma once

#include <cstdint>
#include <string>

#include "factory/store/sqlite.h"

namespace mill::factory::sqlite {

/// Where the chain ends.
struct AuditHead {
    std::int64_t id = 0;
    std::string hash = std::string(32, '\0');
};

Result<AuditHead> audit_head(Database& db);
/// Rows of a program of before get their hashes: once, when the store comes to have the column.
Status chain_audit(Database& db);

}  // namespace mill::factory::sqlite
