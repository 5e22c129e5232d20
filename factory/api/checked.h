// factory/api/checked.h -- one document, checked against everything. Private to factory/api.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "factory/api/environment_values.h"
#include "factory/api/service.h"
#include "factory/resources/resource.h"

namespace mill::factory {

/// And what the store has of it now.
struct Checked {
    ResourceDocument document;
    std::optional<Document> stored;
    Json changes = Json::array();
    std::vector<std::string> warnings;
    std::vector<ChangedDeployment> with;   ///< of an environment: written in the same step
    std::string_view result() const { return !stored ? "created" : changes.empty() ? "unchanged" : "changed"; }
};

struct Consent {
    bool accept = false;   ///< of permissions that a version newly asks for
    bool force = false;    ///< to go to a version that was rolled back
    bool admin = false;    ///< who asks has the role admin in all environments
};

/// `overlay`: what is written with it.
tl::expected<Checked, Refusal> check(Service& service, Reader& reader, ResourceDocument document, const std::vector<ResourceDocument>& overlay, Consent consent);
/// It, and what changes with it, as one step of the store.
std::vector<DocumentChange> step_of(const Checked& checked);
/// A version that a rollback left does not come back by a file that still names it.
std::optional<Error> rolled_back(Reader& reader, const Document& stored, const std::string& package);

/// Its jq has to be compiled before it is written.
inline bool needs_compiling(const Checked& checked) { return checked.document.kind == ResourceKind::notifier && checked.result() != "unchanged"; }

/// Tokens that are for this document alone, and end with it: ids.
std::vector<std::string> tokens_of(Reader& reader, std::string_view kind, std::string_view name);

Json texts_json(const std::vector<std::string>& texts);
void refuse(const Call& call, const Refusal& refusal);

}  // namespace mill::factory
