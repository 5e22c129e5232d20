// agent/complain.h -- how the commands that speak to a running agent end when they cannot.
#pragma once

#include <cstdio>
#include <string>

#include "platform/base/printable.h"
#include "platform/base/redact.h"

namespace mill::agent {

constexpr int kNoAnswer = 2, kNotRunning = 3, kRefused = 78;   ///< exit statuses

/// To standard error, in one line and without secrets. Returns `status`.
inline int complain(int status, const std::string& words)
{
    std::fprintf(stderr, "millwright-agent: %s\n", one_line(redacted(words)).c_str());
    return status;
}

}  // namespace mill::agent
