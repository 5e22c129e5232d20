// Loads a workflow document; no input may end the process, and every finding has a place.
#include <cstdint>
#include <string_view>

#include "workflows/loader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::vector<mill::workflows::Finding> findings;
    const auto document = mill::workflows::load_document({reinterpret_cast<const char*>(data), size}, "f.yaml", {}, findings);
    for (const auto& finding : findings) mill::check(finding.mark.line > 0 && finding.mark.column > 0 && !finding.text.empty(), "a finding without a place");
    mill::check(!findings.empty() || document->main >= 0, "nothing loaded and nothing said");
    return 0;
}
