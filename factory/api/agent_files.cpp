// What agents say of files that appear on their machines.
#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/start_run.h"
#include "factory/resources/resource.h"
#include "platform/base/fields.h"
#include "platform/base/printable.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kMostWatches = 1000, kLongestPath = 4096;

void start_job_of(Service& service, const CallPtr& call, const AppearedFile& file, const FileSource& source)
{
    auto trigger = service.core.reader()->document("Trigger", file.trigger);
    if (!trigger) return reply_error(*call, trigger.error());
    Json about = Json::object({{"path", file.path}, {"size", file.size}, {"modified", format_time(file.modified)}, {"agent", source.agent}});
    auto input = file_input(trigger->spec["event"]["input"], Json::object({{"file", about}}));
    if (!input) return reply_problem(*call, 400, input.error().what, "input");
    call->identity = Identity{"agent", "", source.agent, Role::none};
    StartRun start;
    Json event = Json::object({{"file", std::move(about)}});
    if (!source.user.empty()) event.set("user", source.user);
    start.call.context = Json::object({{"event", std::move(event)}});
    start.call.input = std::move(*input);
    start.uid = source.job;
    if (!trigger->spec["event"]["file"]["anywhere"].as_bool()) start.agent = source.agent;   // the file is there, and perhaps nowhere else
    start.accepted = [call](const Accepted& accepted) {
        reply(*call, 200, Json::object({{"job", accepted.job.uid}, {"state", protocol::name(accepted.job.state)}, {"known", accepted.repeated}}));
    };
    start_run(service, call, std::move(*trigger), std::move(start));
}

}  // namespace

void agent_file(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "file");
    fields.ignore_unknown();
    AppearedFile file;
    file.trigger = fields.text("trigger");
    file.path = fields.text("path");
    if (file.path.empty() || file.path.front() != '/' || file.path.size() > kLongestPath) fields.mistake("path", "must be an absolute path of at most 4096 bytes");
    file.inode = static_cast<std::uint64_t>(fields.integer("inode", 0, std::numeric_limits<std::int64_t>::max()));
    file.size = static_cast<std::uint64_t>(fields.integer("size", 0, std::numeric_limits<std::int64_t>::max()));
    const auto modified = parse_time(fields.text("modified"));
    if (!modified) fields.mistake("modified", "must be an RFC 3339 time");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    file.modified = *modified;
    service.core.file_source(call->agent, file, [&service, call, file](const Result<FileSource>& source) {
        if (!source && source.error().code == Errc::denied) return reply_problem(*call, 403, source.error().what, "not_watched");
        if (!passed(*call, source)) return;
        if (const auto wait = service.limits.file(call->agent, file.trigger)) {
            ++service.limited;
            const auto seconds = (wait->count() + 999) / 1000;
            return reply_problem(*call, 429, fmt::format("agent '{}' reports too many files for trigger '{}': 1,000 at once and 1,000 a minute are taken", source->agent, file.trigger), "too_many", {},
                                 {{"Retry-After", std::to_string(seconds)}});
        }
        start_job_of(service, call, file, *source);
    });
}

void agent_watches(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    std::vector<FileStanding> standing;
    for (const Json& one : (*json)["watches"].as_array()) {
        if (standing.size() >= kMostWatches) break;
        standing.push_back({.trigger = one["trigger"].as_string().substr(0, 100), .problem = one_line(one["problem"].as_string().substr(0, 500))});
    }
    service.core.say_files(call->agent, std::move(standing), [call](const Result<Nothing>& kept) {
        if (passed(*call, kept)) reply_empty(*call);
    });
}

}  // namespace mill::factory::handler
