// factory/resources/resource.h -- the documents that people write: their kinds, what is wrong with them, their normal form.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "factory/store/records.h"
#include "platform/base/json.h"
#include "protocol/permissions.h"
#include "workflows/manifest.h"

namespace mill::factory {

enum class ResourceKind { calendar, publisher, environment, deployment, trigger, notifier };  // in the order in which they refer to each other

inline constexpr std::array kResourceKinds = {ResourceKind::calendar, ResourceKind::publisher, ResourceKind::environment, ResourceKind::deployment, ResourceKind::trigger,
                                              ResourceKind::notifier};

std::string_view word(ResourceKind kind);                               ///< "Environment", as in `kind:`
std::string_view plural(ResourceKind kind);                             ///< "environments", as in paths
std::optional<ResourceKind> parse_resource_kind(std::string_view text); ///< either spelling

struct ResourceDocument {
    ResourceKind kind = ResourceKind::environment;
    std::string name;
    Json spec;  ///< normal form: kind, name, then every member with its default filled in
};

/// Reads one document. `kind` and `name` may be missing in it when the caller knows them (from the path) and must then agree.
/// A member `status` (what `get` showed) is ignored. Errors: invalid, all mistakes.
Result<ResourceDocument> parse_document(const Json& document, std::optional<ResourceKind> kind = {}, std::string_view name = {});

/// What a document may refer to, as it is in the store or in the same `apply`.
struct References {
    std::function<bool(ResourceKind, std::string_view name)> has;
    std::function<Json(ResourceKind, std::string_view name)> spec;  ///< null when there is none
    std::function<std::optional<workflows::Manifest>(std::string_view package, std::string_view version)> manifest;
    std::function<std::vector<std::string>(std::string_view package)> versions;
    std::function<std::optional<std::string>(std::string_view credential)> credential_kind;
    std::function<std::vector<Json>()> triggers{};   ///< all of them; none given: not looked at
    std::function<bool(std::string_view credential)> credential_on_machine;  ///< agents' machines hold it, the factory does not
};

struct Refusal {
    Error error;
    std::vector<std::string> missing;  ///< permissions asked for and not granted
};

/// Checks what `document` refers to. For a Deployment it also settles `spec.granted` (Permissions JSON): `granted_before` is what
/// the stored one had (null: none); a version that asks for more than that is refused unless `accept`.
/// Errors: conflict (a reference to nothing, permissions), invalid (variables, workflow, credentials against the manifest).
tl::expected<void, Refusal> check_references(ResourceDocument& document, const References& references, const Json& granted_before,
                                             bool accept);

/// The part of it that is about the credentials that a Trigger names: the secret that its chat platform signs with, and that of its callbacks. Errors: conflict.
tl::expected<void, Refusal> check_chat_credential(const ResourceDocument& trigger, const References& references);

/// The input of a job that a signed webhook starts: `event.input` of its trigger, filled in from {body, id, type}. Errors: invalid.
Result<Json> webhook_input(const Json& written, const Json& document);

/// The same of a job that a file starts; the document is {file: {path, size, modified, agent}}.
Result<Json> file_input(const Json& written, const Json& document);

/// What the state of its version says against a Deployment; `before`: the version (NAME@VERSION) that it has, or empty. Answers warnings.
/// Errors: conflict (a decommissioned version, unless it is there already; a draft without `allowDraft: true`).
tl::expected<std::vector<std::string>, Refusal> check_version_state(const ResourceDocument& deployment, const PackageRecord& package, std::string_view before);

/// Members that differ, as [{path, from?, to?}] with JSON pointers.
Json differences(const Json& before, const Json& after);

/// "a-name": lower-case letters, digits, '-', '_', '.'; 1 to 100; begins and ends with a letter or digit.
bool is_name(std::string_view text);

}  // namespace mill::factory
