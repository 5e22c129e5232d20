// Any text as an OpenAPI document and a caller's parameters: each operation is refused with words or becomes one bounded request.
#include <cstdint>
#include <vector>

#include "tests/fuzz/parts.h"
#include "workflows/openapi.h"

using namespace mill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto [text, given] = fuzz::parts(data, size);
    const auto document = workflows::parse_openapi(text);
    if (!document) {
        check(!document.error().what.empty(), "a refusal without words");
        return 0;
    }
    const auto parameters = parse_json(given.empty() ? "{}" : given);
    if (!parameters) return 0;
    std::vector<std::string> operations = {"none"};
    for (const auto& [path, item] : (*document)["paths"].as_object())
        for (const auto& [method, operation] : item.as_object())
            if (operations.size() < 8) operations.push_back(operation["operationId"].as_string());
    for (const std::string& operation : operations)
        for (const char* from : {"https://api.example.com/v1/openapi.yaml", "package:///api.json", ""}) {
            const auto request = workflows::openapi_request(*document, from, operation, *parameters);
            if (!request) {
                check(!request.error().what.empty(), "a refusal without words");
                continue;
            }
            check(!(*request)["method"].as_string().empty() && (*request)["headers"].is_object() && (*request)["query"].is_object(), "half a request");
            check((*request)["uri"].as_string().size() < 64 * 1024 + 64 * size, "an address out of bounds");
        }
    return 0;
}
