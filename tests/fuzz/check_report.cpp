// Any bytes as what a taken-over checker might print: a report that holds together, or an error with words.
#include <cstdlib>
#include <string_view>

#include "factory/api/input_schemas.h"
#include "factory/check/report.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size)
{
    using namespace mill;
    using namespace mill::factory;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto package = parse_package_report(text)) {
        if (package->valid && !package->inputs.is_object()) std::abort();
        for (const auto& finding : package->findings)
            if (finding.text.size() > 2000) std::abort();
        // What is light is applied in the factory: it must end, on any data.
        for (const auto& [workflow, schema] : compile_inputs(package->inputs))
            if (schema.schema && schema.is_light(package->inputs)) (void)schema.schema->mistakes(package->inputs);
    } else if (package.error().what.empty() || package.error().what.size() > 2000) {
        std::abort();
    }
    if (const auto input = parse_input_report(text); input && input->size() > 20) std::abort();
    return 0;
}
