#include "cli/test_from_job.h"

#include <map>
#include <vector>

#include <fmt/format.h>

#include "cli/jobs.h"
#include "cli/resources.h"
#include "platform/base/yaml.h"
#include "platform/files.h"
#include "workflows/activities/registry.h"

namespace mill::cli {

namespace {

bool may_be_call(const Json& step) { return step["type"] == Json("call") || step["type"] == Json("run"); }

/// A call that goes outside; functions and workflows are replayed by what they call, the rest needs nobody to stand in.
bool goes_outside(const std::string& call)
{
    if (call == "http" || call == "openapi" || call == "shell" || call == "script") return true;
    const workflows::Activity* activity = workflows::find_activity(call);
    return activity != nullptr && !activity->native && activity->effect != "log" && activity->effect != "progress" && activity->effect != "tell";
}

Json error_answer(const Json& error)
{
    Json out = Json::object();
    for (const char* member : {"type", "status", "title", "detail"})
        if (const Json* value = error.find(member)) out.set(member, *value);
    return Json::object({{"error", std::move(out)}});
}

Json result_answer(const std::string& call, const Json& result)
{
    const bool whole_response = (call == "http" || call == "openapi") && result.contains("statusCode") && result.contains("content");
    if (!whole_response) return Json::object({{"result", result}});
    return Json::object({{"response", Json::object({{"status", result["statusCode"]}, {"headers", result["headers"]}, {"body", result["content"]}})}});
}

/// What the recorded calls came to, by task, in the order of the record.
struct Recorded {
    std::vector<std::string> order;
    std::map<std::string, Json> answers;     ///< task → list
    std::vector<std::string> not_recorded;   ///< calls, perhaps, of which nobody knows what they came to
    bool cut = false;                        ///< some result was too large to be recorded whole
};

Recorded recorded_calls(const Json& steps)
{
    Recorded out;
    for (const Json& step : steps.as_array()) {
        const std::string& state = step["state"].as_string();
        if (!may_be_call(step) || (state != "completed" && state != "faulted")) continue;
        const std::string& task = step["task"].as_string();
        const Json& detail = step["detail"];
        const std::string& call = detail["call"].as_string();
        if (!detail.contains("call")) {
            if (std::find(out.not_recorded.begin(), out.not_recorded.end(), task) == out.not_recorded.end()) out.not_recorded.push_back(task);
            continue;
        }
        if (!goes_outside(call)) continue;
        out.cut = out.cut || step["cut"].as_bool() || detail["cut"].as_bool();
        if (!out.answers.contains(task)) out.order.push_back(task);
        out.answers[task].push(state == "faulted" ? error_answer(step["error"]) : result_answer(call, detail["result"]));
    }
    return out;
}

}  // namespace

Result<std::string> test_of_job(const Json& job, const Json& steps, const Json& variables)
{
    const std::string& state = job["state"].as_string();
    const std::string& uid = uid_of(job);
    if (state != "successful" && !(state == "failed" && job["error"].is_object()))
        return fail(Errc::conflict, fmt::format("job {} is {}: a test is made of one that was successful or failed with an error", uid, state));
    const Recorded calls = recorded_calls(steps);
    Json test = Json::object({{"name", "as job " + uid}});
    if (job["workflow"].is_string() && job["workflow"].as_string() != "main") test.set("workflow", job["workflow"]);
    test.set("input", job["input"].is_null() ? Json::object() : job["input"]);
    if (variables.is_object() && !variables.empty()) test.set("variables", variables);
    if (!calls.order.empty()) {
        Json list = Json::array();
        for (const std::string& task : calls.order) {
            const Json& answers = calls.answers.at(task);
            Json one = Json::object({{"task", task}});
            if (answers.size() == 1)
                for (const auto& [key, value] : answers[std::size_t{0}].as_object()) one.set(key, value);
            else one.set("answers", answers);
            list.push(std::move(one));
        }
        test.set("standIns", std::move(list));
    }
    Json expect = Json::object();
    if (state == "successful") expect.set("output", job["output"]);
    else {
        Json error = Json::object();
        for (const char* member : {"type", "status", "instance"})
            if (const Json* value = job["error"].find(member)) error.set(member, *value);
        expect.set("error", std::move(error));
    }
    test.set("expect", std::move(expect));

    const Json& package = job["package"];
    std::string text = fmt::format("# Made from job {} ({}@{}, {}).\n", uid, one_line(package["name"].as_string()), one_line(package["version"].as_string()), one_line(state));
    if (!calls.not_recorded.empty()) {
        text += "# The job's record does not say what these tasks got, so nobody stands in for them yet (a log line needs nobody):\n";
        for (const std::string& task : calls.not_recorded) text += "#   - task: " + one_line(task) + "\n";
        text += fmt::format("# Add a stand-in for each that calls something, or make a job that records it and start here again:\n"
                            "#   millwright trigger {} --input FILE --trace --wait && millwright test --from last\n", one_line(job["trigger"].as_string()));
    }
    if (calls.cut) text += "# CUT: a recorded result was too large to be kept whole; \"…\" stands where something is left out.\n";
    if (variables.is_null()) text += "# The deployment's variables could not be read: add them under variables, if the package has any.\n";
    text += "# Secrets are never in a record: name them under secrets only when a call is real.\n";
    return text + dump_yaml(test);
}

Result<int> make_test_from_job(Context& context, const std::string& name, const std::string& output)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<std::string> uid = resolve_job(**api, name);
    if (!uid) return fail(uid.error());
    const Result<Json> job = (*api)->get(join_path("/v1/jobs", *uid));
    if (!job) return fail(job.error());
    const Result<Json> steps = all_steps(**api, *uid);
    if (!steps) return fail(steps.error());
    Json variables;
    if (const std::string& deployment = (*job)["deployment"].as_string(); !deployment.empty())
        if (const Result<Json> found = (*api)->get(join_path("/v1/deployments", deployment))) variables = (*found)["variables"].is_object() ? (*found)["variables"] : Json::object();
    const Result<std::string> text = test_of_job(*job, *steps, variables);
    if (!text) return fail(text.error());
    if (output.empty()) {
        context.console.write(*text);
        return kDone;
    }
    if (platform::exists(output)) return fail(Errc::conflict, output + " is there already");
    if (Status written = platform::write_output(output, *text); !written) return fail(written.error());
    context.console.note(fmt::format("{}: look through it, then `millwright test`", output));
    return kDone;
}

}  // namespace mill::cli
