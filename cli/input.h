// cli/input.h -- values that the person gives in files or on standard input.
#pragma once

#include <stop_token>
#include <string>

#include "platform/base/json.h"

namespace mill::cli {

/// JSON, or YAML when it is not JSON; "-" is standard input. Errors: not_found, invalid ("FILE:LINE:COLUMN: …"), too_large.
Result<Json> read_value(const std::string& path, std::stop_token stop = {});
/// The same, and it must be an object.
Result<Json> read_object(const std::string& path, std::stop_token stop = {});
/// Bytes of a file or of standard input.
Result<std::string> read_bytes(const std::string& path, std::size_t max_bytes, std::stop_token stop = {});
/// "k=v" pairs as an object. Errors: invalid.
Result<Json> read_pairs(const std::vector<std::string>& pairs, std::string_view option);

}  // namespace mill::cli
