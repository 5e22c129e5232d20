// workflows/pointer.h -- what a JSON pointer (RFC 6901) names in a document.
#pragma once

#include <string_view>

#include "platform/base/json.h"

namespace mill::workflows {

/// `fragment` is a pointer as a reference's `#…` writes it: percent-encoded; "" is the document. Null when there is no such value.
const Json* at_pointer(const Json& document, std::string_view fragment);

}  // namespace mill::workflows
