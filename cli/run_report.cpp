#include "cli/run_report.h"

#include <ostream>

#include <fmt/format.h>

#include "cli/jobs.h"

namespace mill::cli {

namespace {
constexpr std::size_t kTraceText = 2000;  // of a value shown with --trace
}

Status RunReport::take(std::string_view line)
{
    const Result<Json> json = parse_json(line, {.bytes = 64 * 1024 * 1024, .depth = 128});
    if (!json) return fail(Errc::corrupt, "millwright-agent said what is no JSON: " + std::string(line.substr(0, 200)));
    if (const Json* event = json->find("event")) show_event(*event);
    else if (const Json* cloud = json->find("cloudEvent")) {
        if (events_ != nullptr) *events_ << dump_json(*cloud) << '\n';
    } else if (const Json* trace = json->find("trace")) {
        if (trace_) show_trace(*trace);
    } else if (const Json* ended = json->find("ended")) ended_ = *ended;
    return {};
}

void RunReport::show_trace(const Json& trace)
{
    const auto shortened = [](const Json& value) {
        std::string text = one_line(dump_json(value));
        if (text.size() > kTraceText) {
            text.resize(kTraceText);
            text = one_line(text) + "…";  // a cut character is made whole
        }
        return text;
    };
    for (const auto& [name, value] : trace["detail"].as_object())
        if (!value.is_null()) console_.note(console_.paint_error(Style::dim, fmt::format("    {} {:<9} {}: {}", one_line(trace["name"].as_string()),
                                                                                         one_line(trace["state"].as_string()), name, shortened(value))));
}

void RunReport::show_event(const Json& event)
{
    const Json& body = event["body"];
    const std::string& kind = event["kind"].as_string();
    const std::string time = show_time(event["time"].as_string(), system_clock().now(), true);
    if (kind == "log") {
        const std::string& level = body["level"].as_string();
        const Style style = level == "error" ? Style::bad : level == "warning" ? Style::busy : level == "debug" ? Style::dim : Style::plain;
        console_.note(fmt::format("{} {} {}", console_.paint_error(Style::dim, time), console_.paint_error(style, fmt::format("{:<7}", level)),
                                  printable(body["text"].as_string())));
    } else if (kind == "step" && trace_) {
        const std::string& state = body["state"].as_string();
        std::string text = fmt::format("{} {} {} ({}) {}", console_.paint_error(Style::dim, time),
                                       console_.paint_error(style_of_state(state), fmt::format("{:<9}", state)), one_line(body["name"].as_string()),
                                       one_line(body["type"].as_string()), console_.paint_error(Style::dim, one_line(body["task"].as_string())));
        if (body["error"].is_object()) text += "  " + one_line(error_text(body["error"]));
        console_.note(text);
    } else if (kind == "gap") {
        console_.note(fmt::format("… {} {} records over the quota were not kept", body["lost"].as_integer(), one_line(body["kind"].as_string())));
    }
}

}  // namespace mill::cli
