#include "workflows/activities/contract.h"

namespace mill::workflows {

void add_system(std::vector<Activity>& out)
{
    using namespace contract;
    out.push_back({"system.usage", "Load, memory, disks and processes of the machine that the agent runs on.", "system.usage",
                   object({{"disks", texts("mount points or paths to report; all real file systems when absent")}}),
                   object({{"load", typed("object", "one, five, fifteen, cpus")},
                           {"memory", typed("object", "bytes: total, available, used, usedPercent, swapTotal, swapFree")},
                           {"disks", typed("array", "each {path, total, free, used, usedPercent}")},
                           {"processes", integer("how many there are")},
                           {"uptimeSeconds", typed("number", "since the machine started")},
                           {"host", text("the machine's name")}}, {}, false),
                   {"system.usage"}, example("system.usage", Json::object({{"disks", Json::array({"/"})}}))});
}

}  // namespace mill::workflows
