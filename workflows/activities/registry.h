// workflows/activities/registry.h -- the contract of every `call:` we offer: arguments, result, permissions, effect.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace mill::workflows {

struct Activity {
    std::string name;         ///< "system.usage"
    std::string description;
    std::string effect;       ///< of protocol/README.md; "" is done by the interpreter (`native`)
    Json with;                ///< JSON Schema of the arguments
    Json result;              ///< JSON Schema of the raw output; null: void, the output is the transformed input
    std::vector<std::string> permissions;  ///< what it asks of `permissions:`, such as "files.read"
    Json example;             ///< a task
    std::function<Result<Json>(const Json& with)> native = {};  ///< pure; Errors: invalid (becomes a validation error)
};

const std::vector<Activity>& activities();
const Activity* find_activity(std::string_view name);
std::vector<std::string> activity_names();
Json to_json(const Activity& activity);

// One function a file; each adds its contracts.
void add_system(std::vector<Activity>& out);
void add_files(std::vector<Activity>& out);
void add_archives(std::vector<Activity>& out);
void add_reporting(std::vector<Activity>& out);
void add_dates(std::vector<Activity>& out);

}  // namespace mill::workflows
