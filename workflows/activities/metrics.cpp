#include "workflows/activities/contract.h"

namespace mill::workflows {

void add_metrics(std::vector<Activity>& out)
{
    using namespace contract;
    out.push_back({"metric.publish", "Publishes a figure at the factory, for whoever reads its metrics. It goes with the job's report: the workflow does not wait for it.", "metric.publish",
                   object({{"name", granted("metrics.publish", "such as invoices.open")},
                           {"value", typed("number", "the figure")},
                           {"unit", text("such as {invoice}, s or By; a name keeps its first one")},
                           {"dimensions", typed("object", "what tells series of the name apart: names and short texts, few different ones").set("additionalProperties", Json::object({{"type", "string"}}))}},
                          Json::array({"name", "value"})),
                   nullptr, {"metrics.publish"}, example("metric.publish", Json::object({{"name", "invoices.open"}, {"value", "${ .invoices | length }"}, {"unit", "{invoice}"}}))});
    out.push_back({"metric.read", "Reads figures from the factory: published ones, and those of the jobs of this job's environment.", "metric.read",
                   object({{"name", granted("metrics.read", "such as invoices.open or millwright.jobs.ended")},
                           {"since", text("a time, or a span ago such as 24h; 24h when not said")},
                           {"until", text("the same; now when not said")},
                           {"step", text("one value for each of these, such as 1h; 1h when not said")},
                           {"by", texts("dimensions that tell series apart; [] is one series of all")},
                           {"aggregation", one_of("of what falls into a step", Json::array({"avg", "sum", "count", "min", "max", "last"}))}},
                          Json::array({"name"})),
                   object({{"name", text("as asked")}, {"unit", text("of the values")}, {"aggregation", text("of the values")}, {"step", text("of the points")},
                           {"since", text("a time")}, {"until", text("a time")},
                           {"series", typed("array", "each {dimensions, points: [{time, value, count}]}; empty when nothing was published under the name")}}, {}, false),
                   {"metrics.read"}, example("metric.read", Json::object({{"name", "invoices.open"}, {"since", "7d"}, {"step", "1d"}, {"aggregation", "max"}}))});
}

}  // namespace mill::workflows
