// workflows/activities/registry.h -- the contract of every `call:` we offer: arguments, result, permissions, effect.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace mill::workflows {

/// In the schema of an argument: the permission that its value is checked against, such as "files.read".
inline constexpr const char* kPermissionKeyword = "x-permission";

/// A session (a browser, a mailbox, a database connection) lives on between activities; the interpreter knows which are open, puts
/// the id of the right one into the effect's `with.session`, and closes them (effect `session.close`, {kind, session}).
struct SessionRole {
    enum class Kind { none, opens, uses, closes } kind = Kind::none;
    std::string of;  ///< "browser"; the contract of `with` has an optional text `session`: the author's name of it
};

struct Activity {
    std::string name;         ///< "system.usage"
    std::string description;
    std::string effect;       ///< of protocol/README.md; "" is done by the interpreter (`native`)
    Json with;                ///< JSON Schema of the arguments
    Json result;              ///< JSON Schema of the raw output; null: void, the output is the transformed input
    std::vector<std::string> permissions;  ///< what it asks of `permissions:`, such as "files.read"
    Json example;             ///< a task
    std::function<Result<Json>(const Json& with)> native = {};  ///< pure; Errors: invalid (becomes a validation error)
    SessionRole session = {};
    std::function<Result<Json>(const Json& with)> prepare = {};  ///< what the effect is asked with, of the arguments; Errors: invalid
};

const std::vector<Activity>& activities();
const Activity* find_activity(std::string_view name);
std::vector<std::string> activity_names();
Json to_json(const Activity& activity);

/// Adds one for good. For rooms outside of this library and for tests; before any package is loaded.
void register_activity(Activity activity);

// One function a file; each adds its contracts.
void add_system(std::vector<Activity>& out);
void add_files(std::vector<Activity>& out);
void add_metrics(std::vector<Activity>& out);
void add_archives(std::vector<Activity>& out);
void add_asking(std::vector<Activity>& out);
void add_reporting(std::vector<Activity>& out);
void add_dates(std::vector<Activity>& out);

}  // namespace mill::workflows
