#include "agent/self/pause.h"

#include <fmt/format.h>

#include "platform/files.h"

namespace mill::agent {
namespace {

std::string to_the_second(WallTime time)
{
    return format_time(time).substr(0, 19) + "Z";
}

}  // namespace

std::string words_of(const Pause& pause)
{
    std::string out = fmt::format("paused on its machine by {} since {}", pause.by.empty() ? "somebody" : pause.by, to_the_second(pause.since));
    if (pause.until) out += " until " + to_the_second(*pause.until);
    if (!pause.why.empty()) out += ": " + pause.why;
    return out;
}

Json to_json(const Pause& pause)
{
    Json out = Json::object({{"by", pause.by}, {"why", pause.why}, {"since", format_time(pause.since)}});
    if (pause.until) out.set("until", format_time(*pause.until));
    return out;
}

Result<std::optional<Pause>> load_pause(const std::string& data_folder, WallTime now)
{
    const std::string path = data_folder + "/paused.json";
    auto text = platform::read_file(path, 64 * 1024);
    if (!text && text.error().code == Errc::not_found) return std::optional<Pause>();
    if (!text) return fail(path, std::move(text.error()));
    auto json = parse_json(*text);
    if (!json) return fail(Errc::corrupt, fmt::format("{}: {}; remove it to let the agent take jobs", path, json.error().what));
    Pause out{(*json)["by"].as_string(), (*json)["why"].as_string(), {}, std::nullopt};
    auto since = parse_time((*json)["since"].as_string());
    if (!since) return fail(Errc::corrupt, fmt::format("{}: since: {}; remove it to let the agent take jobs", path, since.error().what));
    out.since = *since;
    if (const Json* until = json->find("until"); until != nullptr) {
        auto time = parse_time(until->as_string());
        if (!time) return fail(Errc::corrupt, fmt::format("{}: until: {}; remove it to let the agent take jobs", path, time.error().what));
        if (*time <= now) return std::optional<Pause>();
        out.until = *time;
    }
    return std::optional<Pause>(std::move(out));
}

Status save_pause(const std::string& data_folder, const std::optional<Pause>& pause)
{
    const std::string path = data_folder + "/paused.json";
    if (!pause) {
        if (!platform::exists(path)) return {};
        return platform::remove_tree(path);
    }
    return platform::write_file(path, dump_json(to_json(*pause)) + "\n", 0600);
}

}  // namespace mill::agent
