// platform/base/encode.h -- bytes as text: base64 (RFC 4648), hex, percent-encoding (RFC 3986).
#pragma once

#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill {

std::string to_base64(std::string_view bytes);
std::string to_base64url(std::string_view bytes);            ///< without padding
Result<std::string> from_base64(std::string_view text);      ///< either alphabet, padding optional. Errors: invalid
std::string to_hex(std::string_view bytes);                  ///< lower case
Result<std::string> from_hex(std::string_view text);
std::string percent_encode(std::string_view text);           ///< all but unreserved characters
Result<std::string> percent_decode(std::string_view text);   ///< '+' stays '+'. Errors: invalid

}  // namespace mill
