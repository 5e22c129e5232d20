#include "cli/console.h"

#include <algorithm>
#include <ctime>
#include <ostream>

#include <fmt/format.h>

namespace mill::cli {

namespace {

std::string_view code_of(Style style)
{
    switch (style) {
    case Style::good: return "32";
    case Style::bad: return "31";
    case Style::busy: return "36";
    case Style::dim: return "2";
    case Style::strong: return "1";
    default: return "";
    }
}

std::string painted(bool colour, Style style, std::string_view text)
{
    if (!colour || style == Style::plain || text.empty()) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", code_of(style), text);
}

std::size_t width_of(char32_t point)
{
    if (point == 0x200B || point == 0x200D || (point >= 0x0300 && point <= 0x036F) || (point >= 0xFE00 && point <= 0xFE0F) ||
        (point >= 0x1AB0 && point <= 0x1AFF) || (point >= 0x20D0 && point <= 0x20FF))
        return 0;
    const bool wide = (point >= 0x1100 && point <= 0x115F) || (point >= 0x2E80 && point <= 0xA4CF && point != 0x303F) ||
                      (point >= 0xAC00 && point <= 0xD7A3) || (point >= 0xF900 && point <= 0xFAFF) ||
                      (point >= 0xFE30 && point <= 0xFE6F) || (point >= 0xFF00 && point <= 0xFF60) ||
                      (point >= 0xFFE0 && point <= 0xFFE6) || (point >= 0x1F300 && point <= 0x1FAFF) ||
                      (point >= 0x20000 && point <= 0x3FFFD);
    return wide ? 2 : 1;
}

}  // namespace

void Console::line(std::string_view text) { out_ << text << '\n'; }
void Console::write(std::string_view text) { out_ << text; }
void Console::note(std::string_view text)
{
    out_.flush();
    err_ << text << '\n';
    err_.flush();
}
void Console::ask(std::string_view prompt)
{
    out_.flush();
    err_ << prompt;
    err_.flush();
}
void Console::error(std::string_view text)
{
    while (text.ends_with('\n')) text.remove_suffix(1);
    note(paint_error(Style::bad, "millwright:") + " " + printable(text));
}
void Console::document(const Json& value) { out_ << dump_json(value, 2) << '\n'; }
void Console::record(const Json& value)
{
    out_ << dump_json(value) << '\n';
    out_.flush();
}
void Console::flush() { out_.flush(); }
std::string Console::paint(Style style, std::string_view text) const { return painted(options_.colour, style, text); }
std::string Console::paint_error(Style style, std::string_view text) const { return painted(options_.error_colour, style, text); }

Style style_of_state(std::string_view state)
{
    static constexpr std::string_view kGood[] = {"successful", "completed", "delivered", "online", "idle", "ok"};
    static constexpr std::string_view kBad[] = {"failed", "faulted", "expired", "dead", "offline", "frozen", "unapproved", "error", "failing"};
    static constexpr std::string_view kBusy[] = {"running", "assigned", "waiting", "ready", "pending", "started", "busy", "retrying"};
    const auto in = [&](const auto& list) { return std::find(std::begin(list), std::end(list), state) != std::end(list); };
    return in(kGood) ? Style::good : in(kBad) ? Style::bad : in(kBusy) ? Style::busy : Style::plain;
}

std::size_t display_width(std::string_view utf8)
{
    std::size_t width = 0;
    for (std::size_t at = 0; at < utf8.size();) width += width_of(next_code_point(utf8, at));
    return width;
}

Table::Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}

void Table::add(std::vector<std::string> cells)
{
    cells.resize(headings_.size());
    for (std::string& cell : cells) cell = one_line(cell);
    rows_.push_back(std::move(cells));
}

void Table::show(Console& console) const
{
    std::vector<std::size_t> widths;
    for (const std::string& heading : headings_) widths.push_back(display_width(heading));
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));

    const auto render = [&](const std::vector<std::string>& cells, bool heading) {
        std::string out;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const std::string pad(widths[i] - display_width(cells[i]), ' ');
            const bool right = std::find(right_.begin(), right_.end(), i) != right_.end();
            const Style style = heading ? Style::dim : i == state_column_ ? style_of_state(cells[i]) : Style::plain;
            const std::string text = console.paint(style, cells[i]);
            const bool last = i + 1 == cells.size();
            out += right ? pad + text : last ? text : text + pad;
            if (!last) out += "  ";
        }
        while (!out.empty() && out.back() == ' ') out.pop_back();
        console.line(out);
    };
    render(headings_, true);
    for (const auto& row : rows_) render(row, false);
}

std::string show_time(std::string_view rfc3339, WallTime now, bool milliseconds)
{
    const Result<WallTime> time = parse_time(rfc3339);
    if (!time) return one_line(rfc3339);
    const auto local = [](WallTime t) {
        const std::time_t seconds = t.microseconds / 1'000'000;
        std::tm parts{};
        ::localtime_r(&seconds, &parts);
        return parts;
    };
    const std::tm at = local(*time), today = local(now);
    char text[32];
    const bool same_day = at.tm_year == today.tm_year && at.tm_yday == today.tm_yday;
    std::strftime(text, sizeof text, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &at);
    return milliseconds ? fmt::format("{}.{:03}", text, time->microseconds / 1000 % 1000) : std::string(text);
}

std::string show_span(Microseconds span)
{
    const std::int64_t us = span.count();
    if (us < 0) return "-" + show_span(Microseconds(-us));
    if (us < 1000) return fmt::format("{} µs", us);
    if (us < 1'000'000) return fmt::format("{:.1f} ms", static_cast<double>(us) / 1000.0);
    const std::int64_t seconds = us / 1'000'000;
    if (seconds < 60) return fmt::format("{:.1f} s", static_cast<double>(us) / 1'000'000.0);
    if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
    if (seconds < 86'400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
    return fmt::format("{} d {} h", seconds / 86'400, seconds / 3600 % 24);
}

std::string show_age(std::string_view rfc3339, WallTime now)
{
    const Result<WallTime> time = parse_time(rfc3339);
    if (!time) return one_line(rfc3339);
    const Microseconds age = now - *time;
    if (age.count() < 1'000'000) return "just now";
    return show_span(Microseconds(age.count() / 1'000'000 * 1'000'000)) + " ago";
}

std::string show_bytes(std::uint64_t bytes)
{
    static constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024.0 && unit + 1 < std::size(kUnits)) {
        value /= 1024.0;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace mill::cli
