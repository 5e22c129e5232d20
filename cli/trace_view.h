// cli/trace_view.h -- a run as it happens: a tree for a person, a JSON line each for a program. Secrets are masked.
#pragma once

#include <string>

#include "cli/console.h"
#include "platform/base/json.h"
#include "platform/base/redact.h"

namespace mill::cli {

/// All strings of a secrets file, however deep.
Redactor redactor_of(const Json& secrets);
/// One line of JSON, shortened for a terminal and masked.
std::string show_value(const Json& value, const Redactor& redactor);

class TraceView {
public:
    enum class As { tree, json };
    TraceView(Console& console, As as, const Redactor& redactor) : console_(console), as_(as), redactor_(redactor) {}
    As as() const { return as_; }
    void show(const Json& trace);     ///< {"trace": …} of protocol/README.md
    void show_log(const Json& event); ///< as JSON only; a tree shows log lines as `run` does anyway

private:
    std::string words(const Json& trace) const;

    Console& console_;
    As as_;
    const Redactor& redactor_;
};

}  // namespace mill::cli
