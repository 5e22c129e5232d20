// workflows/pointer.h -- what a JSON pointer (RFC 6901) names in a document.
#pragma once

#include <string_view>

#include "platform/base/json.h"

namespace mill::workflows {

/// `fragment` is a pointer as a reference's `#…` writes it: percent-encoded; "" is the document. Null when there is no such value.
const Json* at_pointer(const Json& document, std::string_view fragment);

/// What `$ref` of a schema names within its document, as the validator finds it (slashes at the end do not count). Null when
/// there is no such value, or it lies elsewhere.
const Json* referred_by(const Json& document, std::string_view reference);

}  // namespace mill::workflows
