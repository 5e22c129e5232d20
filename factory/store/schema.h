// factory/store/schema.h -- the tables, and how an older file becomes the present one. factory/store/ only.
#pragma once

#include "factory/store/sqlite.h"

namespace mill::factory::sqlite {

/// Brings the file to the present schema, one transaction a step. Errors: conflict (made by a newer program).
Status migrate(Database& db);

}  // namespace mill::factory::sqlite
