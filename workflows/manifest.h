// workflows/manifest.h -- reads package.yaml and manifest.json: the same values, one with `workflow:`, one with all of `workflows:`.
#pragma once

#include <functional>
#include <string>

#include "workflows/package.h"

namespace mill::workflows {

/// Where (JSON pointer) and what.
using Complaint = std::function<void(const std::string& pointer, std::string text)>;

Manifest read_manifest(const Json& json, const Complaint& complain);

bool is_dns_label(std::string_view text);
bool is_semantic_version(std::string_view text);

}  // namespace mill::workflows
