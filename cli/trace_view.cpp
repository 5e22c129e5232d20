#include "cli/trace_view.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/jobs.h"
#include "workflows/preview.h"

namespace mill::cli {

namespace {

void add_all(Redactor& redactor, const Json& value)
{
    if (value.is_string()) redactor.add(value.as_string());
    for (const Json& item : value.as_array()) add_all(redactor, item);
    for (const auto& [key, member] : value.as_object()) add_all(redactor, member);
}

/// Between two times of a trace.
std::string took(const Json& trace)
{
    const Result<WallTime> from = parse_time(trace["startedAt"].as_string()), to = parse_time(trace["time"].as_string());
    return from && to ? show_span(*to - *from) : "";
}

}  // namespace

Redactor redactor_of(const Json& secrets)
{
    Redactor out;
    add_all(out, secrets);
    return out;
}

std::string show_value(const Json& value, const Redactor& redactor)
{
    constexpr std::size_t kMost = 400;
    std::string text = one_line(redactor.apply(dump_json(workflows::preview(value, {}))));
    if (text.size() <= kMost) return text;
    std::size_t end = kMost;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return text.substr(0, end) + "…";
}

std::string TraceView::words(const Json& trace) const
{
    const std::string& state = trace["state"].as_string();
    const Json& detail = trace["detail"];
    const auto value = [&](const Json& shown) { return show_value(shown, redactor_); };
    const auto dim = [&](std::string_view text) { return console_.paint_error(Style::dim, text); };
    const std::string who = fmt::format("{} {}", console_.paint_error(Style::strong, one_line(trace["name"].as_string())),
                                        dim(fmt::format("({})", one_line(trace["type"].as_string()))));
    if (state == "started") return fmt::format("{} {} {}", who, dim("←"), value(detail["input"]));
    if (state == "asked") return fmt::format("{} {} {}", dim("asks"), one_line(detail["effect"].as_string()), value(detail["with"]));
    if (state == "iteration")
        return fmt::format("{} {} {}", dim("turn"), dim(fmt::format("{}/{}", detail["index"].as_integer() + 1, detail["of"].as_integer())), value(detail["item"]));
    if (state == "skipped") return fmt::format("{} {} if {}", who, console_.paint_error(Style::dim, "skipped:"), one_line(detail["if"].as_string()));
    const std::string error = trace["error"].is_object() ? redactor_.apply(one_line(error_text(trace["error"]))) : "";
    if (state == "retried")
        return fmt::format("{} {} after {}: {}", who, console_.paint_error(Style::busy, fmt::format("retry {}", detail["retry"].as_integer())),
                           show_span(Milliseconds(detail["waitMs"].as_integer())), error);
    if (state == "caught")
        return fmt::format("{} {} {}{}", who, console_.paint_error(Style::busy, "caught"), redactor_.apply(one_line(error_text(detail["error"]))),
                           detail["handled"].as_bool() ? "" : " (no handler: it goes on with its input)");
    std::string out = fmt::format("{} {}", who, console_.paint_error(style_of_state(state), state));
    if (const std::string time = took(trace); !time.empty()) out += " " + dim(time);
    if (!error.empty()) out += " " + error;
    if (detail.contains("case")) out += detail["case"].is_null() ? " no case holds" : fmt::format(" case {}", one_line(detail["case"].as_string()));
    if (state == "completed") out += fmt::format(" {} {}", dim("→"), value(detail["output"]));
    if (detail.contains("then")) out += fmt::format(" {}", console_.paint_error(Style::busy, "then " + one_line(detail["then"].as_string())));
    return out;
}

void TraceView::show(const Json& trace)
{
    if (as_ == As::json) {
        Json line = Json::object({{"kind", "step"}});
        for (const auto& [key, value] : trace.as_object())
            if (!value.is_null()) line.set(key, value);
        return console_.note(one_line(redactor_.apply(dump_json(line))));
    }
    // A workflow, its list, a task: 3 deep. Each list and task within adds 2, what a task says of itself one line below it.
    const auto depth = static_cast<std::size_t>(std::clamp<std::int64_t>(trace["depth"].as_integer(), 3, 200));
    std::string indent;
    for (std::size_t i = 0; i < (depth - 3 + 1) / 2; ++i) indent += "│ ";
    const std::string& state = trace["state"].as_string();
    if (state == "asked" || state == "iteration") indent += "│ ";
    console_.note(console_.paint_error(Style::dim, show_time(trace["time"].as_string(), system_clock().now(), true) + " " + indent) + words(trace));
}

void TraceView::show_log(const Json& event)
{
    Json line = Json::object({{"kind", "log"}, {"time", event["time"]}});
    for (const auto& [key, value] : event["body"].as_object()) line.set(key, value);
    console_.note(one_line(redactor_.apply(dump_json(line))));
}

}  // namespace mill::cli
