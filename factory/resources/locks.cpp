#include <set>

#include <fmt/format.h>

#include "factory/resources/trigger_parts.h"

namespace mill::factory {

void read_locks(Fields& top, Json& out)
{
    std::set<std::string> names;
    for (const std::string& name : top.texts("locks")) {
        if (!is_name(name)) top.mistake("locks", fmt::format("has '{}', expected a name of small letters, digits, '-', '_' and '.'", name.substr(0, 100)));
        names.insert(name);
    }
    if (names.size() > kMostLocks) top.mistake("locks", fmt::format("names {} locks, a job has at most {}", names.size(), kMostLocks));
    if (names.empty()) return;
    Json list = Json::array();
    for (const std::string& name : names) list.push(Json(name));
    out.set("locks", std::move(list));
}

}  // namespace mill::factory
