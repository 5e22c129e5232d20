// How a job ended, in words.
#include <fmt/format.h>

#include "factory/core/core_impl.h"

namespace mill::factory::core {

namespace {

/// How a job was stopped: what its agent measured.
/// Of the commands that its workflow had started: each got SIGTERM, and 3 s.
std::string commands_text(const Json& commands)
{
    std::string text;
    for (const Json& one : commands.as_array()) {
        const std::string& how = one["ended"].as_string();
        text += fmt::format("; its command {} was sent SIGTERM and {} after {}", one["command"].as_string(),
                            how == "SIGKILL" ? "did not end: it was killed" : how == "itself" ? "cleaned up and ended by itself" : "ended",
                            format_duration(Milliseconds(one["afterMs"].as_integer())));
    }
    return text;
}

std::string stop_text(const Json& stop)
{
    const auto span = [&](const char* name) { return format_duration(Milliseconds(stop[name].as_integer())); };
    std::string text = fmt::format("; its agent asked it to stop at {}", stop["askedAt"].as_string());
    if (stop["answeredAfterMs"].is_integer()) return text + fmt::format(": it cleaned up and ended by itself after {}, of {} that it had", span("answeredAfterMs"), span("graceMs"));
    if (stop["killedAfterMs"].is_integer() && stop["graceMs"].as_integer() > 0) text += fmt::format(": it did not end within {} and was killed after {}", span("graceMs"), span("killedAfterMs"));
    else if (stop["killedAfterMs"].is_integer()) text += ": it had not begun";
    if (stop["endedAfterMs"].is_integer()) text += fmt::format("; its processes were gone after {}", span("endedAfterMs"));
    return text;
}

}  // namespace

Result<Why> CoreImpl::why_ended(const JobRecord& job)
{
    Why out{.job = job.uid, .state = job.state, .summary = {}, .reasons = {}};
    const std::string_view reason = job.reason ? protocol::name(*job.reason) : "";
    std::string text = fmt::format("it is {} ({})", protocol::name(job.state), reason);
    if (const Json& title = job.error["title"]; title.is_string()) text += ": " + title.as_string();
    if (const Json& detail = job.error["detail"]; detail.is_string() && detail.as_string() != job.error["title"].as_string()) text += fmt::format(" ({})", detail.as_string());
    if (job.evidence["refused"].as_bool()) text += ": it was not approved";
    if (const Json& by = job.evidence["by"]; by.is_string()) text += fmt::format(", by {}", by.as_string());
    if (const Json& why = job.evidence["why"]; why.is_string() && !why.as_string().empty()) text += ": " + why.as_string();
    if (const Json& stop = job.evidence["stop"]; stop.is_object()) text += stop_text(stop);
    if (const Json& commands = job.evidence["commands"]; commands.is_array()) text += commands_text(commands);
    if (const Json& waited = job.evidence["waitedFor"]; waited.is_string()) text += ": " + waited.as_string();
    if (const Json& since = job.evidence["silentSince"]; since.is_string()) text += fmt::format(": {} said nothing since {}", job.agent, since.as_string());
    out.summary = text;
    out.reasons.push_back({"ended", job.agent, std::move(text), ""});
    if (!job.retried_by.empty()) out.reasons.push_back({"retried", job.retried_by, fmt::format("job {} is its retry", job.retried_by), ""});
    return out;
}

}  // namespace mill::factory::core
