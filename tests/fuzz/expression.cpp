// An expression and its data: read, compiled and evaluated within its deadline. jq itself can be brought down by sheer size
// (docs/security.md: it runs in the sandbox), so that texts that count far or define functions are only read and compiled.
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/fuzz/parts.h"
#include "workflows/expression.h"
#include "workflows/jq_text.h"

using namespace mill;
using namespace mill::workflows;

namespace {

constexpr Milliseconds kDeadline{20};

bool bounded(const std::string& text)
{
    int digits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        digits = std::isdigit(static_cast<unsigned char>(text[i])) != 0 ? digits + 1 : 0;
        if (digits > 4 || (digits > 0 && i + 1 < text.size() && (text[i + 1] == 'e' || text[i + 1] == 'E'))) return false;
    }
    for (const char* word : {"def", "infinite", "repeat", "recurse", "range", "until", "while", "env", "limit", "now", "pow", "exp", "splits", "length", "implode"})
        if (text.find(word) != std::string::npos) return false;
    return std::count(text.begin(), text.end(), '*') < 3;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto [text, given] = fuzz::parts(data, size);
    (void)read_jq(text);
    Expression expression;
    expression.text = text;
    expression.pointer = "/do/0";
    if (const auto ok = prepare(expression, {"context", "input"}); !ok) {
        check(!ok.error().what.empty(), "a refusal without words");
        return 0;
    }
    check(!expression.path || expression.path->steps.size() <= text.size(), "a path longer than its text");
    if (text.size() > 400) return 0;
    static std::string compiled;  // compiling costs a thousand times what the rest does
    static std::unique_ptr<Program> program;
    static Expression kept;
    if (compiled != text || !program) {
        std::vector<CompileError> errors;
        kept = expression;
        compiled = text;
        program = compile({&kept}, errors);
        check(program != nullptr || (!errors.empty() && !errors.front().what.empty()), "not compiled and nothing said");
    }
    const auto json = parse_json(given.empty() ? "null" : given);
    if (!program || !json || !bounded(compiled)) return 0;
    std::vector<Value> arguments;
    for (std::size_t i = 0; i < kept.variables.size(); ++i) arguments.emplace_back(i == 0 ? *json : Json::object({{"a", *json}}));
    const auto first = program->evaluate(kept, Value(*json), arguments, kDeadline);
    if (!first) {
        check(!first.error().what.empty(), "a failure without words");
        return 0;
    }
    const std::string as_text = dump_json(first->json());
    check(parse_json(as_text).has_value(), "a result that does not fit into a message");
    const auto again = program->evaluate(kept, *first, arguments, kDeadline);  // jq's own form as data
    if (again) (void)again->json();
    return 0;
}
