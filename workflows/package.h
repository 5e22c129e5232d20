// workflows/package.h -- a package: folder or .mwp archive, its manifest, its workflow documents, and what is wrong with it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"
#include "platform/base/yaml.h"
#include "workflows/manifest.h"

namespace mill::workflows {

struct Finding {
    enum class Level { error, warning } level = Level::error;
    std::string file;   ///< within the package
    Mark mark;
    std::string text;
    std::string code = "document";  ///< the kind of finding, stable between versions: docs/language.md lists them
    std::string format() const;     ///< "FILE:LINE:COLUMN: message" (warnings: "…: warning: message")
};

struct Document;  // a loaded workflow: workflows/document.h
class Program;    // its compiled expressions: workflows/expression.h

struct Package {
    Manifest manifest;
    std::map<std::string, std::shared_ptr<const Document>> workflows;
    std::vector<std::shared_ptr<const Document>> dependencies;  ///< the workflows of what it depends on
    std::map<std::string, std::string> assets;  ///< path in the package → bytes
    std::vector<Finding> findings;              ///< warnings, and errors
    std::shared_ptr<Program> program;           ///< all expressions, compiled once; one thread at a time
    bool valid() const;
};

/// What `run: workflow` of a document may run: NAMESPACE/NAME/VERSION (or /latest) of its own package or of one that this depends
/// on. Null when there is none.
const Document* find_workflow(const Package& package, const Document& from, std::string_view target);

/// Loads and checks all of it; mistakes are findings, not errors. A lone workflow file is a package that asks for nothing.
/// Errors: not_found, too_large, corrupt (not an archive).
Result<Package> load_package(const std::string& path);              ///< folder, .mwp, or one workflow file
Result<Package> load_archive(std::string_view bytes);

/// Deterministic bytes of a `.mwp` (zip; same folder, same bytes) with manifest.json in front. `version` overrides when not empty.
/// Errors: invalid (a finding of level error: all of them in `what`, one a line).
Result<std::string> pack(const std::string& path, std::string_view version = {});

/// Reads manifest.json (capped) out of `.mwp` bytes and nothing else. Errors: corrupt, too_large.
Result<Manifest> manifest_of(std::string_view archive_bytes);

std::string package_digest(std::string_view archive_bytes);  ///< "sha256:HEX"

/// The input.schema document as written, or read from the package; null when the workflow has none.
Json input_schema(const Package& package, std::string_view workflow);

/// Checks a value against the workflow's input.schema, as the factory does for a trigger's call. Errors: invalid, all mistakes
/// with their JSON pointers.
Status check_input(const Package& package, std::string_view workflow, const Json& input);

}  // namespace mill::workflows
