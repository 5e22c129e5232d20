// platform/base/ids.h -- names that nobody else has.
#pragma once

#include <string>

namespace mill {

/// A UUID of version 7 (RFC 9562): sorts by the time it was made. Thread: any.
std::string new_uid();

/// `bytes` random bytes from the operating system. Ends the process when the system has none. Thread: any.
std::string random_bytes(std::size_t bytes);

}  // namespace mill
