#include "workflows/jq_program.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace mill::workflows {
namespace {

/// What an expression must not reach, and what jq 1.7 has more. Shadowing holds inside the parentheses of each expression.
constexpr const char* kPrelude = R"jq(
def env: error("env is not available");
def input: error("input is not available");
def inputs: error("inputs is not available");
def input_filename: null;
def input_line_number: 0;
def debug: .;
def debug(f): .;
def stderr: .;
def halt: error("halt is not available");
def halt_error: error("halt_error is not available");
def halt_error(f): error("halt_error is not available");
def modulemeta: error("modulemeta is not available");
def get_search_list: error("get_search_list is not available");
def get_jq_origin: error("get_jq_origin is not available");
def get_prog_origin: error("get_prog_origin is not available");
def toarray: if type == "array" then . else [.] end;
def abs: if type == "number" then (if . < 0 then 0 - . else . end) else error("\(type) has no absolute value") end;
def pick(f): . as $__top | reduce path(f) as $__p (null; setpath($__p; $__top | getpath($__p)));
def ltrim: if type == "string" then sub("^[ \t\n\r\f\u000b]+"; "") else error("\(type) cannot be trimmed") end;
def rtrim: if type == "string" then sub("[ \t\n\r\f\u000b]+$"; "") else error("\(type) cannot be trimmed") end;
def trim: ltrim | rtrim;
def __inexact: error("the integer \(.) is beyond 2^53, which jq cannot keep exactly: leave it a string");
def __tonumber: tonumber;
def tonumber: if type == "string" and length > 15 and test("^[-+]?[0-9]+$") and (__tonumber | fabs) >= 9007199254740992 then __inexact else __tonumber end;
def __fromjson: fromjson;
def fromjson: if type == "string" and test("[0-9]{16}") then . as $__t | __fromjson |
  if any(.. | numbers; fabs >= 9007199254740992) then $__t | [match("[0-9]{16,}").string][0] | __inexact else . end else __fromjson end;
{} as $ENV | .[0] as $__i | .[1] as $__v | .[2] as $__a |
)jq";

void collect(void* out, jv message)
{
    auto& text = *static_cast<std::string*>(out);
    if (jv_get_kind(message) == JV_KIND_STRING && text.size() < 4000) {
        if (!text.empty()) text += '\n';
        text += jv_string_value(message);
    }
    jv_free(message);
}

std::string dispatch(std::span<const std::string> bodies, std::size_t first = 0)
{
    if (bodies.size() == 1) return bodies[0];
    const std::size_t half = bodies.size() / 2;
    return fmt::format("if $__i < {} then {} else {} end", first + half, dispatch(bodies.first(half), first), dispatch(bodies.subspan(half), first + half));
}

constexpr std::size_t kTogether = 384;  // jq needs 40 ms for its builtins, and above some 400 expressions the time for each grows tenfold

/// jq refuses a program of more than 65,535 words: then in halves.
std::string compile_part(std::span<const std::string> bodies, int begin, std::vector<JqPart>& parts)
{
    auto program = std::make_unique<JqProgram>();
    std::string problem = program->compile(bodies);
    if (problem.empty()) parts.push_back({begin, begin + static_cast<int>(bodies.size()), std::move(program)});
    if (bodies.size() == 1 || problem.find("which is too long") == std::string::npos) return problem;
    const std::size_t half = bodies.size() / 2;
    std::string first = compile_part(bodies.first(half), begin, parts);
    return first.empty() ? compile_part(bodies.subspan(half), begin + static_cast<int>(half), parts) : first;
}

}  // namespace

JqProgram::~JqProgram()
{
    if (jq_ != nullptr) jq_teardown(&jq_);
}

std::string JqProgram::compile(std::span<const std::string> bodies)
{
    jq_ = jq_init();
    if (jq_ == nullptr) return "out of memory";
    std::string errors;
    jq_set_input_cb(jq_, nullptr, nullptr);  // 1.6 leaves both uninitialised
    jq_set_debug_cb(jq_, nullptr, nullptr);
    jq_set_error_cb(jq_, &collect, &errors);
    const bool fine = jq_compile(jq_, (kPrelude + dispatch(bodies)).c_str()) != 0;
    jq_set_error_cb(jq_, [](void*, jv message) { jv_free(message); }, nullptr);
    if (fine) return {};
    return errors.empty() ? "it does not compile" : errors;
}

// jq's time to compile grows with the number of instructions, times all of its builtins: nothing stands here that is not needed.
std::string jq_body(const std::string& text, const std::vector<std::string>& variables)
{
    std::string names;
    for (const std::string& variable : variables) names += (names.empty() ? "$" : ",$") + variable;
    return fmt::format("({}$__v | ({}\n))", names.empty() ? "" : fmt::format("$__a as [{}] | ", names), text);
}

std::string compile_parts(std::span<const std::string> bodies, std::vector<JqPart>& parts)
{
    std::string problem;
    for (std::size_t begin = 0; begin < bodies.size() && problem.empty(); begin += kTogether)
        problem = compile_part(bodies.subspan(begin, std::min(kTogether, bodies.size() - begin)), static_cast<int>(begin), parts);
    return problem;
}

long jq_lines_before()
{
    static const long lines = std::count(kPrelude, kPrelude + std::string_view(kPrelude).size(), '\n');
    return lines;
}

}  // namespace mill::workflows
