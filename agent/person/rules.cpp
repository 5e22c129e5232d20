#include "agent/person/rules.h"

#include <array>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/local_time.h"

namespace mill::agent {
namespace {

constexpr std::array<std::string_view, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr unsigned kEveryDay = 0x7f;
constexpr int kDay = 24 * 60;

std::optional<int> day_of(std::string_view name)
{
    for (std::size_t i = 0; i < kDays.size(); ++i)
        if (kDays[i] == name) return static_cast<int>(i);
    return std::nullopt;
}

/// "mon", or "fri-mon": from Friday over the week's end to Monday.
std::optional<unsigned> days_of(std::string_view text)
{
    const std::size_t dash = text.find('-');
    const auto first = day_of(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : day_of(text.substr(dash + 1));
    if (!first || !last) return std::nullopt;
    unsigned out = 0;
    for (int day = *first;; day = (day + 1) % 7) {
        out |= 1U << day;
        if (day == *last) return out;
    }
}

std::optional<int> minute_of(std::string_view text, bool end)
{
    const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '9' ? text[at] - '0' : 99; };
    if (text.size() != 5 || text[2] != ':') return std::nullopt;
    const int hours = digit(0) * 10 + digit(1), minutes = digit(3) * 10 + digit(4);
    if (hours > (end ? 24 : 23) || minutes > 59 || hours * 60 + minutes > kDay) return std::nullopt;
    return hours * 60 + minutes;
}

QuietTime read_quiet(const Json& item, Fields& all)
{
    QuietTime out;
    Fields fields(item, "quietHours");
    for (const std::string& text : fields.texts("days")) {
        const auto days = days_of(text);
        if (days) out.days |= *days;
        else fields.mistake("days", fmt::format("'{}' is no day: {}, or from one to another as in mon-fri", text.substr(0, 40), fmt::join(kDays, ", ")));
    }
    if (!fields.has("days")) out.days = kEveryDay;
    const auto minute = [&](std::string_view key, bool end, int& to) {
        const std::string text = fields.text(key);
        const auto read = minute_of(text, end);
        if (read) to = *read;
        else if (!text.empty()) fields.mistake(key, fmt::format("'{}' is no time of the day: HH:MM", text.substr(0, 40)));
    };
    minute("from", false, out.from);
    minute("to", true, out.to);
    if (out.from == out.to && fields.has("from") && fields.has("to")) fields.mistake("to", "is 'from': from 00:00 to 24:00 is a whole day");
    if (auto done = fields.done(); !done) all.mistake("quietHours", done.error().what);
    return out;
}

std::optional<WallTime> ends(const QuietTime& quiet, WallTime now)
{
    const platform::LocalTime local = platform::local_time(now);
    for (const int back : {0, 1}) {  // it began today, or yesterday and goes over midnight
        if ((quiet.days & (1U << ((local.weekday + 7 - back) % 7))) == 0) continue;
        const int length = quiet.to > quiet.from ? quiet.to - quiet.from : quiet.to + kDay - quiet.from;
        const int since = local.minute + back * kDay - quiet.from;
        if (since >= 0 && since < length) return platform::from_local(local.year, local.month, local.day - back, quiet.from + length);
    }
    return std::nullopt;
}

}  // namespace

PersonRules read_person_rules(Fields& fields)
{
    PersonRules out;
    out.stated = fields.has("consent") || fields.has("quietHours");
    Fields consent(fields.object("consent", Json::object()), "consent");
    auto within = parse_duration(consent.text("within", "2m"));
    if (within && *within >= std::chrono::seconds(5) && *within <= std::chrono::hours(1)) out.within = *within;
    else consent.mistake("within", within ? "must be from 5s to 1h" : within.error().what);
    const std::string jobs = consent.one_of("jobs", {"ask", "always", "never"}, "ask");
    out.jobs = jobs == "always" ? PersonRules::Jobs::always : jobs == "never" ? PersonRules::Jobs::never : PersonRules::Jobs::ask;
    if (auto done = consent.done(); !done) fields.mistake("consent", done.error().what);
    const Json quiet = fields.array("quietHours", Json::array());
    if (quiet.size() > 50) fields.mistake("quietHours", "has more than 50 entries");
    else for (const Json& item : quiet.as_array()) out.quiet.push_back(read_quiet(item, fields));
    return out;
}

std::optional<WallTime> quiet_until(const std::vector<QuietTime>& quiet, WallTime now)
{
    std::optional<WallTime> out;
    for (int steps = 0; steps < 16; ++steps) {  // quiet all week: asked again after some of it
        std::optional<WallTime> latest;
        for (const QuietTime& each : quiet)
            if (const auto end = ends(each, out.value_or(now)); end && (!latest || *end > *latest)) latest = end;
        if (!latest || (out && *latest <= *out)) break;
        out = latest;
    }
    return out;
}

std::string words_of(const QuietTime& quiet)
{
    std::vector<std::string> days;
    for (std::size_t first = 0; first < kDays.size(); ++first) {
        if ((quiet.days & (1U << first)) == 0) continue;
        std::size_t last = first;
        while (last + 1 < kDays.size() && (quiet.days & (1U << (last + 1))) != 0) ++last;
        days.push_back(first == last ? std::string(kDays[first]) : fmt::format("{}-{}", kDays[first], kDays[last]));
        first = last;
    }
    return fmt::format("{} {:02}:{:02}-{:02}:{:02}", fmt::join(days, ","), quiet.from / 60, quiet.from % 60, quiet.to / 60, quiet.to % 60);
}

std::string words_of(const PersonRules& rules)
{
    std::string out = rules.jobs == PersonRules::Jobs::never    ? "refused while this agent is attended"
                      : rules.jobs == PersonRules::Jobs::always ? "started without asking"
                                                                : fmt::format("asked about, for {}", format_duration(rules.within));
    if (rules.quiet.empty() || rules.jobs == PersonRules::Jobs::never) return out;
    std::vector<std::string> times;
    for (const QuietTime& each : rules.quiet) times.push_back(words_of(each));
    return fmt::format("{}; not at all on {}", out, fmt::join(times, ", "));
}

}  // namespace mill::agent
