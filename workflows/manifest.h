// workflows/manifest.h -- what a package says of itself: read from package.yaml and from manifest.json, the same values.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "platform/base/json.h"
#include "protocol/permissions.h"

namespace mill::workflows {

struct Variable {
    std::string type;   ///< string, integer, number, boolean, object, array
    Json fallback;      ///< `default`; null when there is none
    bool required = false;
    std::string description;
};

/// package.yaml as values; what pack writes into manifest.json (design.md 3, 6, 7).
struct Manifest {
    std::string name, version;                      ///< DNS label; semantic version
    std::string title, description;
    std::map<std::string, std::string> workflows;   ///< name → file; "main" is `workflow:`
    protocol::Permissions permissions;              ///< without the entries that name a variable
    Json asked;                                     ///< `permissions:` as written, entries {variable: NAME} included
    std::map<std::string, Variable> variables;
    std::map<std::string, std::string> credentials; ///< name → kind
    std::map<std::string, std::string> dependencies;
    Json requirements;                              ///< `requires:`
    Json schedules;                                 ///< workflow → its `schedule`, a proposal; not written in package.yaml
    bool repeatable = false;
    bool offline = false;                           ///< a person may start it at their agent while the factory is away
};
Json to_json(const Manifest& manifest);                     ///< manifest.json
Result<Manifest> parse_manifest(const Json& manifest_json); ///< the factory and the agent read only this

/// The variables that a run sees: what is given, defaults filled in. Errors: invalid (unknown, missing, wrong type: all named).
Result<Json> effective_variables(const Manifest& manifest, const Json& given);
/// What the package asks for with its variables put in. Errors: invalid.
Result<protocol::Permissions> asked_permissions(const Manifest& manifest, const Json& variables);

/// Where (JSON pointer) and what.
using Complaint = std::function<void(const std::string& pointer, std::string text)>;

/// Reads both spellings: one with `workflow:`, one with all of `workflows:`.
Manifest read_manifest(const Json& json, const Complaint& complain);

bool is_dns_label(std::string_view text);
/// Of a document (the specification's schema): letters, digits, and - between them; at most 63.
bool is_document_name(std::string_view text);
bool is_semantic_version(std::string_view text);

}  // namespace mill::workflows
