// workflows/jq_program.h -- jq programs that each hold many expressions; private to expression.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

extern "C" {
#include <jq.h>
}

namespace mill::workflows {

/// One libjq state. Not thread-safe.
class JqProgram {
public:
    JqProgram() = default;
    JqProgram(const JqProgram&) = delete;
    JqProgram& operator=(const JqProgram&) = delete;
    ~JqProgram();

    /// Compiles for an input `[branch, data, [arguments…]]`; each of `bodies` is one of jq_body(). jq's own words when it cannot, or nothing.
    std::string compile(std::span<const std::string> bodies);
    jq_state* state() { return jq_; }

private:
    jq_state* jq_ = nullptr;
};

/// The expressions whose branches are in [begin, end).
struct JqPart {
    int begin = 0, end = 0;
    std::unique_ptr<JqProgram> program;
};

/// An expression as a part of a program: `variables` are its arguments' names, without the dollar.
std::string jq_body(const std::string& text, const std::vector<std::string>& variables);

/// Compiles all of them, in parts of a size that jq compiles well: in order. jq's own words when it cannot, or nothing.
std::string compile_parts(std::span<const std::string> bodies, std::vector<JqPart>& parts);

/// Lines of the program that stand before the first expression's text.
long jq_lines_before();

}  // namespace mill::workflows
