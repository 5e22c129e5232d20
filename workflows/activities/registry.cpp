#include "workflows/activities/registry.h"

namespace mill::workflows {

const std::vector<Activity>& activities()
{
    static const std::vector<Activity> kAll = [] {
        std::vector<Activity> out;
        add_archives(out);
        add_dates(out);
        add_files(out);
        add_reporting(out);
        add_system(out);
        return out;
    }();
    return kAll;
}

const Activity* find_activity(std::string_view name)
{
    for (const Activity& activity : activities())
        if (activity.name == name) return &activity;
    return nullptr;
}

std::vector<std::string> activity_names()
{
    std::vector<std::string> out;
    for (const Activity& activity : activities()) out.push_back(activity.name);
    return out;
}

Json to_json(const Activity& activity)
{
    Json permissions = Json::array();
    for (const std::string& permission : activity.permissions) permissions.push(permission);
    return Json::object({{"name", activity.name}, {"description", activity.description}, {"permissions", permissions},
                         {"with", activity.with}, {"result", activity.result}, {"example", activity.example}});
}

}  // namespace mill::workflows
