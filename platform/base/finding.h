// platform/base/finding.h -- one thing that a doctor looked at. The same value in the programs, on the wire and on the screen.
#pragma once

#include <string>
#include <vector>

#include "platform/base/json.h"

namespace mill {

struct Finding {
    std::string code;    ///< stable; docs/operating.md lists them
    std::string state;   ///< "ok", "warning", "error"
    std::string text;    ///< what was seen
    std::string fix;     ///< what to type or whom to ask; empty when all is well
};

/// Adds to a list. Texts go out on one line and without secrets that the log knows.
class Findings {
public:
    void ok(std::string code, std::string text) { add(std::move(code), "ok", std::move(text), ""); }
    void warning(std::string code, std::string text, std::string fix) { add(std::move(code), "warning", std::move(text), std::move(fix)); }
    void error(std::string code, std::string text, std::string fix) { add(std::move(code), "error", std::move(text), std::move(fix)); }
    std::vector<Finding> take() { return std::move(list_); }

private:
    void add(std::string code, std::string state, std::string text, std::string fix);
    std::vector<Finding> list_;
};

bool all_well(const std::vector<Finding>& findings);       ///< no error among them
Json to_json(const std::vector<Finding>& findings);        ///< [{check, state, text, fix}]
/// Reads such a list from outside: at most 100, texts are cut and put on one line. Errors: invalid.
Result<std::vector<Finding>> parse_findings(const Json& list);

}  // namespace mill
