#include "workflows/activities/registry.h"

namespace mill::workflows {
namespace {

constexpr std::size_t kMost = 500;


std::vector<Activity>& all()
{
    static std::vector<Activity> known = [] {
        std::vector<Activity> out;
        out.reserve(kMost);  // what find_activity gave stays where it is
        add_archives(out);
        add_asking(out);
        add_dates(out);
        add_files(out);
        add_metrics(out);
        add_reporting(out);
        add_system(out);
        return out;
    }();
    return known;
}

}  // namespace

const std::vector<Activity>& activities() { return all(); }

void register_activity(Activity activity)
{
    if (find_activity(activity.name) == nullptr && all().size() < kMost) all().push_back(std::move(activity));
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
