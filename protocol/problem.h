// protocol/problem.h -- errors on HTTP and in workflows: RFC 7807 problem documents.
#pragma once

#include <string>

#include "platform/base/json.h"

namespace mill::protocol {

/// {type, title, status, detail, …}; `type` is "about:blank" or a URN "urn:millwright:problem:NAME" with more members.
Json problem(int status, std::string_view detail, std::string_view name = {});
Json problem(const Error& error);           ///< status_of(error.code)
int status_of(Errc code);                   ///< invalid 400, denied 403, not_found 404, conflict 409, too_large 413, unavailable 503, timeout 504, …
std::string_view status_text(int status);   ///< "Not Found"

}  // namespace mill::protocol
