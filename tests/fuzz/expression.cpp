// The parts of an expression that are read without jq: plain paths, the look at jq's text, durations, URI templates.
// (jq itself runs only in the sandboxed runner: language.md 3 lists what can take it down.)
#include <cstdint>
#include <string>
#include <string_view>

#include "workflows/duration.h"
#include "workflows/expression.h"
#include "workflows/jq_text.h"
#include "workflows/uri.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace mill::workflows;
    const std::string text(reinterpret_cast<const char*>(data), size);
    (void)parse_plain_path(text);
    (void)read_jq(text);
    (void)parse_iso_duration(text);
    (void)expand_uri(text, mill::Json::object({{"a", 1}, {"b", "x"}}));
    Expression expression;
    expression.text = text;
    if (prepare(expression, {"context", "input"})) mill::check(!expression.path || expression.path->steps.size() <= text.size(), "a path longer than its text");
    return 0;
}
