// Any text as a resource document, a credential, a trigger's call and a path: refused with words, or a normal form that reads back as itself.
#include <cstdlib>
#include <string_view>

#include "factory/agents/admissions.h"
#include "factory/api/routes.h"
#include "factory/api/run_call.h"
#include "factory/resources/kinds.h"
#include "factory/resources/resource.h"
#include "platform/base/http_date.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size)
{
    using namespace mill;
    using namespace mill::factory;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto match = match_route("GET", text); match && match->route != nullptr && match->allowed.empty()) std::abort();
    if (const std::string code = normal_user_code(text); !code.empty() && normal_user_code(code) != code) std::abort();
    (void)parse_http_date(text);
    const auto json = parse_json(text, {64 * 1024, 64});
    if (!json) return 0;
    if (const auto document = parse_document(*json)) {
        const auto again = parse_document(document->spec);
        if (!again || !(again->spec == document->spec)) std::abort();
        if (!differences(document->spec, again->spec).empty()) std::abort();
    } else if (document.error().what.empty()) {
        std::abort();
    }
    (void)normalise_credential(*json, "credential");
    for (const bool sap : {false, true})
        if (const auto call = parse_run_call(*json, sap); call && (!call->context.is_object() || !call->input.is_object())) std::abort();
    (void)sample_of(*json);
    (void)protocol::merge_input(*json, Json::object({{"input", *json}}));
    return 0;
}
