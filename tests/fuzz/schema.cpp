// A JSON Schema and a value: the schema is refused with words, or it judges the value, twice the same.
#include <cstdint>

#include "tests/fuzz/parts.h"
#include "workflows/schema.h"

using namespace mill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto [text, value] = fuzz::parts(data, size);
    const auto document = parse_json(text);
    if (!document) return 0;
    const auto schema = workflows::compile_schema(*document);
    if (!schema) {
        check(!schema.error().what.empty(), "a refusal without words");
        return 0;
    }
    for (const Json& each : {parse_json(value).value_or(Json()), *document}) {
        const auto mistakes = (*schema)->mistakes(each);
        check(mistakes == (*schema)->mistakes(each), "a schema judged twice and differently");
        check(mistakes.size() <= 20, "more mistakes than promised");
        for (const auto& mistake : mistakes) check(mistake.starts_with("/"), "a mistake without a place");
    }
    return 0;
}
