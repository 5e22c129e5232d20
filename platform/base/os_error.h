// platform/base/os_error.h -- an error number of the operating system as text.
#pragma once

#include <string>
#include <system_error>

namespace mill {

/// What the system calls `number` (errno). Thread: any, unlike strerror.
inline std::string os_error(int number) { return std::generic_category().message(number); }

}  // namespace mill
