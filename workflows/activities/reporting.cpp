#include "workflows/activities/contract.h"

namespace mill::workflows {

void add_reporting(std::vector<Activity>& out)
{
    using namespace contract;
    out.push_back({"log", "Writes a line into the job's log.", "log",
                   object({{"text", text("the line")},
                           {"level", one_of("info unless told", Json::array({"debug", "info", "warning", "error"}))}}, Json::array({"text"})),
                   nullptr, {}, example("log", Json::object({{"text", "${ \"\\(.rows | length) rows\" }"}}))});
    out.push_back({"progress", "Says how far the job is.", "progress",
                   object({{"percent", typed("number", "0 to 100")}, {"text", text("what it does now")}}), nullptr, {},
                   example("progress", Json::object({{"percent", 50}, {"text", "half of the rows are read"}}))});
}

}  // namespace mill::workflows
