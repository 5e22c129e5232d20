// platform/show_page.h -- opens a link in the person's browser.
#pragma once

#include <string>

#include "platform/base/result.h"

namespace mill::platform {

/// Through `file` (mode 600, replaced), which leads there: a link that lets in whoever has it stands in no list of processes.
/// Blocks until the desktop has taken it over, at most three seconds. Errors: not_found (there is no xdg-open), unavailable, denied.
Status show_page(const std::string& url, const std::string& file);

}  // namespace mill::platform
