// factory/api/etag.h -- entity tags of resources (RFC 9110, 8.8.3 and 13.1).
#pragma once

#include <optional>
#include <string>

#include "factory/api/call.h"

namespace mill::factory {

std::string etag_of(const Document& document);

/// Whether a header's list of tags has it; "*" has any. `weak`: as If-None-Match compares.
bool tag_in(std::string_view list, std::string_view tag, bool weak);

/// If-Match and If-None-Match of a change, against what is stored. False: answered 412, with who changed it, when, and (`sent`: null when
/// it is to go) how it differs from what was sent.
bool preconditions_hold(const Call& call, const std::optional<Document>& stored, const Json& sent);

}  // namespace mill::factory
