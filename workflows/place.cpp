#include "workflows/place.h"

#include <algorithm>

namespace mill::workflows {
namespace {

bool blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

/// Where in `file` the text up to `offset` ends when it begins at `at`; npos when it does not stand there. A quote doubled by
/// YAML counts once.
std::size_t follow(std::string_view file, std::size_t at, std::string_view expression, std::size_t offset)
{
    for (std::size_t i = 0; i < expression.size(); ++i) {
        if (blank(expression[i])) continue;
        while (at < file.size() && blank(file[at])) ++at;
        if (at >= file.size()) return std::string_view::npos;
        if (i >= offset) return at;
        if (file[at] == '\\' && expression[i] != '\\') ++at;  // \" between double quotes
        if (at >= file.size() || file[at] != expression[i]) return std::string_view::npos;
        if (file[at] == '\'' && at + 1 < file.size() && file[at + 1] == '\'' && (i + 1 >= expression.size() || expression[i + 1] != '\'')) ++at;
        ++at;
    }
    return at;
}

}  // namespace

Mark place_inside(std::string_view file, Mark start, std::string_view expression, std::size_t offset)
{
    std::size_t line_start = 0;
    for (int line = 1; line < start.line; ++line) {
        const auto end = file.find('\n', line_start);
        if (end == std::string_view::npos) return start;
        line_start = end + 1;
    }
    constexpr std::size_t kFar = 400;  // a key, its colon, quotes, comments
    const std::size_t from = std::min(line_start + static_cast<std::size_t>(start.column) - 1, file.size());
    for (std::size_t begin = from; begin < file.size() && begin < from + kFar; ++begin) {
        if (expression.empty() || file[begin] != expression.front()) continue;
        // The whole of it must stand there, else a word of the key would do.
        if (follow(file, begin, expression, expression.size()) == std::string_view::npos) continue;
        const std::size_t place = follow(file, begin, expression, offset);
        Mark out = start;
        for (std::size_t i = from; i < place; ++i) {
            if (file[i] == '\n') {
                ++out.line;
                out.column = 1;
            } else {
                ++out.column;
            }
        }
        return out;
    }
    return start;
}

}  // namespace mill::workflows
