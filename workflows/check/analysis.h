// workflows/check/analysis.h -- what the passes of `check` share; private to check/.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "workflows/check/check.h"
#include "workflows/document.h"

namespace mill::workflows {

class Analysis {
public:
    explicit Analysis(const Package& package);

    const Package& package;
    std::vector<const Document*> documents;  ///< each once
    bool lone;                               ///< a workflow file without package.yaml: it asks for nothing, and grants come from outside

    void warn(std::string_view code, const Document& in, std::string_view pointer, std::string text) { add(Finding::Level::warning, code, in.file, in.marks, pointer, std::move(text)); }
    void error(std::string_view code, const Document& in, std::string_view pointer, std::string text) { add(Finding::Level::error, code, in.file, in.marks, pointer, std::move(text)); }
    void warn_manifest(std::string_view code, std::string_view pointer, std::string text) { add(Finding::Level::warning, code, "package.yaml", manifest_.marks, pointer, std::move(text)); }
    void remedy(std::string file, std::vector<std::string> path, Json item, std::string member = {});

    /// True when what is not seen here is not used: all documents were read whole, and no other package may use it.
    bool complete() const { return package.valid() && package.manifest.dependencies.empty(); }

    Checked take();

private:
    void add(Finding::Level level, std::string_view code, const std::string& file, const Marks& marks, std::string_view pointer, std::string text);

    YamlDocument manifest_;
    Checked out_;
};

/// Each string of a value with its pointer and the key it stands under (that of the list for its items).
void each_text(const Json& value, const std::string& pointer, std::string_view key,
               const std::function<void(const std::string& text, const std::string& pointer, std::string_view key)>& look);

/// The inside of `${ … }` when the whole text is one, else nothing.
std::string_view expression_inside(std::string_view text);

// The passes; one file each.
void check_asks(Analysis& analysis);         // questions that nobody answers in time
void check_flow(Analysis& analysis);         // unreachable tasks, falling through
void check_names(Analysis& analysis);        // unused, undeclared
void check_permissions(Analysis& analysis);  // asked for and used
void check_reveal(Analysis& analysis);       // secrets that commands are to be given
void check_secrets(Analysis& analysis);      // secrets in clear text, those not declared
void check_shapes(Analysis& analysis);       // values that cannot fit their schema
void check_spellings(Analysis& analysis);    // expressions without their braces

}  // namespace mill::workflows
