// factory/api/checked.h -- one document, checked against everything. Private to factory/api.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "factory/api/service.h"
#include "factory/resources/resource.h"

namespace mill::factory {

/// And what the store has of it now.
struct Checked {
    ResourceDocument document;
    std::optional<Document> stored;
    Json changes = Json::array();
    std::vector<std::string> warnings;
    std::string_view result() const { return !stored ? "created" : changes.empty() ? "unchanged" : "changed"; }
};

struct Consent {
    bool accept = false;   ///< of permissions that a version newly asks for
    bool force = false;    ///< to go to a version that was rolled back
};

/// `overlay`: what is written with it.
tl::expected<Checked, Refusal> check(Service& service, Reader& reader, ResourceDocument document, const std::vector<ResourceDocument>& overlay, Consent consent);
/// A version that a rollback left does not come back by a file that still names it.
std::optional<Error> rolled_back(Reader& reader, const Document& stored, const std::string& package);

Json texts_json(const std::vector<std::string>& texts);
void refuse(const Call& call, const Refusal& refusal);

}  // namespace mill::factory
