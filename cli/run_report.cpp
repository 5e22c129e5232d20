#include "cli/run_report.h"

#include <ostream>

#include <fmt/format.h>

namespace mill::cli {

Status RunReport::take(std::string_view line)
{
    const Result<Json> json = parse_json(line, {.bytes = 64 * 1024 * 1024, .depth = 128});
    if (!json) return fail(Errc::corrupt, "millwright-agent said what is no JSON: " + std::string(line.substr(0, 200)));
    if (const Json* event = json->find("event")) show_event(*event);
    else if (const Json* cloud = json->find("cloudEvent")) {
        if (events_ != nullptr) *events_ << dump_json(*cloud) << '\n';
    } else if (const Json* trace = json->find("trace")) {
        if (trace_ != nullptr) trace_->show(*trace);
    } else if (const Json* ended = json->find("ended")) {
        ended_ = *ended;
    } else if (other_) {
        other_(*json);
    }
    return {};
}

void RunReport::show_event(const Json& event)
{
    const Json& body = event["body"];
    const std::string& kind = event["kind"].as_string();
    if (kind == "log" && trace_ != nullptr && trace_->as() == TraceView::As::json) return trace_->show_log(event);
    if (kind == "log") {
        const std::string time = show_time(event["time"].as_string(), system_clock().now(), true);
        const std::string& level = body["level"].as_string();
        const Style style = level == "error" ? Style::bad : level == "warning" ? Style::busy : level == "debug" ? Style::dim : Style::plain;
        console_.note(fmt::format("{} {} {}", console_.paint_error(Style::dim, time), console_.paint_error(style, fmt::format("{:<7}", level)),
                                  printable(redactor_.apply(body["text"].as_string()))));
    } else if (kind == "metric") {
        console_.note(fmt::format("metric {} = {}{}{}", one_line(body["name"].as_string()), dump_json(body["value"]), body.contains("unit") ? " " + one_line(body["unit"].as_string()) : "",
                                  body.contains("dimensions") ? " " + one_line(redactor_.apply(dump_json(body["dimensions"]))) : ""));
    } else if (kind == "gap") {
        console_.note(fmt::format("… {} {} records over the quota were not kept", body["lost"].as_integer(), one_line(body["kind"].as_string())));
    }
}

}  // namespace mill::cli
