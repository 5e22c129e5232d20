#include "workflows/cron.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "platform/base/text.h"

namespace mill::workflows {
namespace {

struct Field {
    std::string_view name;
    int least, most;
    std::string_view words;  ///< three letters each, from `least` on
};
constexpr std::array<Field, 5> kFields{{{"minute", 0, 59, ""},
                                        {"hour", 0, 23, ""},
                                        {"day of the month", 1, 31, ""},
                                        {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
                                        {"day of the week", 0, 7, "sunmontuewedthufrisat"}}};

std::vector<std::string_view> split(std::string_view text, std::string_view at)
{
    std::vector<std::string_view> out;
    for (;;) {
        const std::size_t end = text.find_first_of(at);
        out.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return out;
        text.remove_prefix(end + 1);
    }
}

std::optional<int> whole(std::string_view text)
{
    int out = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (text.empty() || text.size() > 4 || text[0] == '-' || code != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return out;
}

std::optional<int> value_of(std::string_view text, const Field& field)
{
    const std::string lower = lower_case(text);
    if (lower.size() == 3)
        for (std::size_t i = 0; i < field.words.size(); i += 3)
            if (field.words.substr(i, 3) == lower) return field.least + static_cast<int>(i / 3);
    const std::optional<int> number = whole(text);
    return number && *number >= field.least && *number <= field.most ? number : std::nullopt;
}

Status check_item(std::string_view item, const Field& field)
{
    const auto wrong = [&](std::string_view what) -> Status {
        return fail(Errc::invalid, fmt::format("the {} '{}' of a cron expression {}: {} to {}{}, *, a range 1-5, a list 1,3 or a step */5 are", field.name,
                                               item.substr(0, 40), what, field.least, field.most, field.words.empty() ? "" : " or three letters of the name"));
    };
    const std::vector<std::string_view> stepped = split(item, "/");
    if (stepped.size() > 2) return wrong("is none");
    if (stepped.size() == 2) {
        const std::optional<int> step = whole(stepped[1]);
        if (!step || *step < 1 || *step > field.most) return wrong("has a step that is none");
    }
    if (stepped[0] == "*") return {};
    const std::vector<std::string_view> ends = split(stepped[0], "-");
    if (ends.size() > 2) return wrong("is none");
    const std::optional<int> from = value_of(ends[0], field);
    if (!from) return wrong("is none");
    if (ends.size() == 1) return stepped.size() == 1 ? Status{} : wrong("has a step, but no range");
    const std::optional<int> to = value_of(ends[1], field);
    if (!to) return wrong("is none");
    return *from <= *to ? Status{} : wrong("is a range that runs backwards");
}

}  // namespace

Status check_cron(std::string_view text)
{
    std::vector<std::string_view> fields;
    for (const std::string_view part : split(text, " \t\n"))
        if (!part.empty()) fields.push_back(part);
    if (fields.size() == 1 && fields[0][0] == '@')
        return fail(Errc::invalid, fmt::format("'{}' is no cron expression here: write its five fields, such as 0 0 * * *", fields[0].substr(0, 20)));
    if (fields.size() != kFields.size())
        return fail(Errc::invalid, fmt::format("a cron expression has five fields (minute, hour, day of the month, month, day of the week), not {}", fields.size()));
    for (std::size_t i = 0; i < fields.size(); ++i)
        for (const std::string_view item : split(fields[i], ","))
            if (Status ok = check_item(item, kFields[i]); !ok) return ok;
    return {};
}

}  // namespace mill::workflows
