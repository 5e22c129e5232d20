// Any bytes as what an agent reports that examined itself: findings within their bounds, or an error with words.
#include <cstdlib>
#include <string_view>

#include "platform/base/finding.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size)
{
    using namespace mill;
    const auto json = parse_json(std::string_view(reinterpret_cast<const char*>(data), size));
    if (!json) return 0;
    const auto findings = parse_findings((*json)["checks"]);
    if (!findings) {
        if (findings.error().what.empty() || findings.error().what.size() > 2000) std::abort();
        return 0;
    }
    if (findings->size() > 100) std::abort();
    for (const Finding& each : *findings)
        if (each.code.empty() || each.code.size() > 40 || each.text.find('\n') != std::string::npos || each.text.find('\x1b') != std::string::npos) std::abort();
    // What was read once is read the same again.
    const auto again = parse_findings(to_json(*findings));
    if (!again || again->size() != findings->size()) std::abort();
    return 0;
}
