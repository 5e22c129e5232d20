#include "cli/jobs.h"

#include <fmt/format.h>

namespace mill::cli {

Result<std::string> resolve_job(Api& api, const std::string& text)
{
    if (text.size() >= 36) return text;
    if (text != "last" && text.size() < 4)
        return fail(Errc::not_found, fmt::format("'{}' names no job: say its uid, at least 4 characters of its beginning or end, or `last`", text));
    const Result<Json> list = api.get("/v1/jobs", {{"limit", text == "last" ? "1" : "1000"}});
    if (!list) return fail(list.error());
    std::string found;
    for (const Json& job : items(*list)) {
        const std::string& uid = uid_of(job);
        if (text != "last" && !uid.starts_with(text) && !uid.ends_with(text)) continue;
        if (!found.empty()) return fail(Errc::invalid, fmt::format("several jobs begin or end with '{}': {} and {}", text, found, uid));
        found = uid;
    }
    if (found.empty() && text == "last") return fail(Errc::not_found, "there is no job yet; `millwright trigger NAME` starts one");
    if (found.empty()) return fail(Errc::not_found, fmt::format("none of the latest 1000 jobs begins or ends with '{}'; `millwright jobs` lists them", text));
    return found;
}

const std::string& uid_of(const Json& job) { return job.contains("jobUid") ? job["jobUid"].as_string() : job["uid"].as_string(); }

bool is_final_state(std::string_view state)
{
    return state == "successful" || state == "failed" || state == "cancelled" || state == "expired";
}

std::string state_text(const Console& console, const Json& job)
{
    const std::string& state = job["state"].as_string();
    std::string out = console.paint(style_of_state(state), state);
    const std::string& reason = job["reason"].as_string();
    if (!reason.empty() && reason != "completed") out += " (" + one_line(reason) + ")";
    return out;
}

std::string short_type(std::string_view type)
{
    const auto slash = type.rfind('/');
    return std::string(slash == std::string_view::npos ? type : type.substr(slash + 1));
}

std::string error_text(const Json& error)
{
    std::string out = short_type(error["type"].as_string());
    if (error["status"].is_number()) out += fmt::format(" {}", error["status"].as_integer());
    for (const char* member : {"title", "detail"})
        if (const std::string& text = error[member].as_string(); !text.empty()) out += ": " + text;
    if (const std::string& instance = error["instance"].as_string(); !instance.empty()) out += " (at " + instance + ")";
    return printable(out);
}

Result<Json> all_steps(Api& api, const std::string& uid)
{
    const std::string path = join_path("/v1/jobs", uid, "/steps");
    Json all = Json::array();
    for (std::string after;;) {
        const Result<Json> page = api.get(path, {{"after", after}});
        if (!page) return fail(page.error());
        for (const Json& step : items(*page)) all.push(step);
        const Json& next = (*page)["next"];
        const std::string cursor = next.is_string() ? next.as_string() : next.is_number() ? dump_json(next) : "";
        if (cursor.empty() || cursor == after || items(*page).empty()) return all;
        after = cursor;
    }
}

namespace {

/// ": timeout", or who cancelled it and why.
std::string cause_of(const Json& job)
{
    const std::string& reason = job["reason"].as_string();
    if (reason != "cancelled_by") return reason.empty() ? "" : ": " + reason;
    const std::string &by = job["evidence"]["by"].as_string(), &why = job["evidence"]["why"].as_string();
    return (by.empty() ? "" : " by " + by) + (why.empty() ? "" : ": " + why);
}

}  // namespace

int show_ending(Console& console, const Json& job)
{
    const int status = exit_code(job["state"].as_string(), job["reason"].as_string());
    if (console.json()) {
        console.document(job);
        return status;
    }
    if (job.contains("output") && status == kDone) console.document(job["output"]);
    if (job["error"].is_object()) console.error(error_text(job["error"]));
    else if (status != kDone)
        console.error(fmt::format("the job is {}{}", job["state"].as_string(), cause_of(job)));
    return status;
}

}  // namespace mill::cli
