// workflows/loader.h -- YAML in, Document out, every problem with its place.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "workflows/document.h"
#include "workflows/package.h"

namespace mill::workflows {

/// The bytes of a package's file, or nullptr.
using AssetLookup = std::function<const std::string*(std::string_view path)>;

/// Never fails: what is wrong becomes findings; a document with errors is not to be run.
std::shared_ptr<Document> load_document(std::string_view text, const std::string& file, const AssetLookup& assets, std::vector<Finding>& findings);

}  // namespace mill::workflows
