// Texts that are meant as expressions, but are none where they stand.
#include <regex>

#include <fmt/format.h>

#include "workflows/check/analysis.h"

namespace mill::workflows {

/// `customer: .customer` and `error: $error` in data: a text without ${ } stays a text there.
void check_spellings(Analysis& analysis)
{
    static const std::regex kArgument(R"(\$(context|input|output|workflow|task|runtime|secrets|error|item)(\.[A-Za-z_][A-Za-z0-9_]*)*)");
    for (const Document* document : analysis.documents)
        for (const Task& task : document->tasks)
            for (const char* part : {"with", "set", "emit", "raise"})
                each_text(task.definition[part], fmt::format("{}/{}", task.pointer, part), "", [&](const std::string& text, const std::string& pointer, std::string_view key) {
                    if (text.size() < 2 || text.size() > 100 || (text[0] != '.' && text[0] != '$')) return;
                    const bool member = text[0] == '.' && !key.empty() && text.ends_with("." + std::string(key)) && text.find_first_of(" /") == std::string::npos;
                    if (!member && !std::regex_match(text, kArgument)) return;
                    analysis.warn("bare-expression", *document, pointer, fmt::format("'{0}' is a text here; '${{ {0} }}' is the expression", text));
                });
}

}  // namespace mill::workflows
