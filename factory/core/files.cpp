// Files that appear on agents' machines and start jobs: who watches for what, and what comes of it. A watch is told with a poll's answer.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "factory/core/sources.h"
#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/base/text.h"
#include "platform/crypto.h"

namespace mill::factory::core {
namespace {

/// What an agent says is what the trigger looks for: a file of its folder, by a name that its pattern fits. Empty: it is.
std::string unlike_wanted(const std::string& wanted, const std::string& path)
{
    if (std::any_of(path.begin(), path.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; })) return "has control characters";
    const std::size_t last = path.rfind('/'), of_wanted = wanted.rfind('/');
    if (last == std::string::npos || of_wanted == std::string::npos || path.substr(0, last) != wanted.substr(0, of_wanted)) return fmt::format("is not in the folder of {}", wanted);
    const std::string name = path.substr(last + 1), pattern = wanted.substr(of_wanted + 1);
    const bool hidden = name.starts_with('.') && !pattern.starts_with('.');
    if (name.empty() || name == "." || name == ".." || hidden || !matches_pattern(pattern, name)) return fmt::format("is no file that {} names", wanted);
    return {};
}

}  // namespace

void CoreImpl::load_file_triggers()
{
    const bool some = !file_triggers_.all.empty();
    file_triggers_.all.clear();
    ++file_triggers_.revision;
    auto triggers = writer_.read().documents("Trigger");
    if (!triggers) {
        log::error("core", "triggers of files: {}", triggers.error().what);
        return;
    }
    for (const Document& document : *triggers) {
        if (!document.spec["event"]["file"].is_object() || document.spec["paused"].as_bool()) continue;   // it sees what is there when it is resumed
        const auto deployment = writer_.read().document("Deployment", document.spec["deployment"].as_string());
        if (!deployment) continue;
        file_triggers_.all.push_back({document.name, document.uid, deployment->spec["environment"].as_string(), document.spec["event"]["file"]});
    }
    if (!some && file_triggers_.all.empty()) return;
    for (const auto& [key, agent] : agents_)
        if (agent.files) stirred_.insert(key);
}

bool CoreImpl::watches(const Agent& agent, const FileTriggers::One& trigger) const
{
    const dispatch::Environment& environment = board_.environment(trigger.environment);
    if (!agent.record.approved || agent.record.frozen || !dispatch::preference(environment, agent.record)) return false;
    if (const Json& approved = agent.record.approved_in; approved.is_array())
        if (std::none_of(approved.as_array().begin(), approved.as_array().end(), [&](const Json& one) { return one.as_string() == "*" || one.as_string() == trigger.environment; })) return false;
    if (const Json& pattern = trigger.spec["agent"]; pattern.is_string()) return dispatch::has_member({pattern.as_string(), {}, {}}, agent.record);
    const std::string& group = trigger.spec["group"].as_string();
    return std::any_of(environment.members.begin(), environment.members.end(),
                       [&](const dispatch::Member& member) { return dispatch::is_in_group(member, group) && dispatch::has_member(member, agent.record); });
}

Json CoreImpl::files_due(Agent& agent)
{
    if (!agent.files) return {};
    if (agent.files_revision != file_triggers_.revision) {
        agent.files_revision = file_triggers_.revision;
        Json watches_list = Json::array();
        for (const FileTriggers::One& one : file_triggers_.all)
            if (watches(agent, one)) watches_list.push(Json::object({{"trigger", one.name}, {"path", one.spec["path"]}, {"settledMs", one.spec["settledMs"]}}));
        const std::string version = watches_list.empty() ? std::string() : to_hex(platform::sha256(dump_json(watches_list))).substr(0, 32);
        agent.files_due = Json::object({{"version", version}, {"watches", std::move(watches_list)}});
    }
    return agent.files_due["version"].as_string() == *agent.files ? Json() : agent.files_due;
}

void CoreImpl::file_source(std::string id, AppearedFile file, Done<FileSource> done)
{
    queue_.submit<FileSource>(std::move(done), [this, id = std::move(id), file = std::move(file)]() -> Result<FileSource> {
        const auto found = agent_by_id(id);
        if (!found) return fail(found.error());
        const auto trigger = std::find_if(file_triggers_.all.begin(), file_triggers_.all.end(), [&](const auto& one) { return one.name == file.trigger; });
        if (trigger == file_triggers_.all.end() || !watches(**found, *trigger))
            return fail(Errc::denied, fmt::format("agent '{}' is not to watch for files of trigger '{}', or not any more", (*found)->record.name, file.trigger.substr(0, 100)));
        if (const std::string wrong = unlike_wanted(trigger->spec["path"].as_string(), file.path); !wrong.empty()) return fail(Errc::invalid, fmt::format("path: {}", wrong));
        // The same whenever it is said again, also to a factory whose store is an older one.
        const std::string what = fmt::format("{}\n{}\n{}\n{}\n{}", id, file.inode, file.size, file.modified.microseconds, file.path);
        return FileSource{.agent = (*found)->record.name, .user = (*found)->record.user, .job = delivery_id(what, trigger->uid, "file")};
    });
}

void CoreImpl::say_files(std::string id, std::vector<FileStanding> standing, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [this, id = std::move(id), standing = std::move(standing)]() mutable -> Result<Nothing> {
        const auto found = agent_by_id(id);
        if (!found) return fail(found.error());
        (*found)->files_said = std::move(standing);
        (*found)->files_said_at = clock_.now();
        return Nothing{};
    });
}

void CoreImpl::trigger_files(std::string name, Done<std::vector<FileStanding>> done)
{
    queue_.submit<std::vector<FileStanding>>(std::move(done), [this, name = std::move(name)]() -> Result<std::vector<FileStanding>> {
        std::vector<FileStanding> out;
        const auto trigger = std::find_if(file_triggers_.all.begin(), file_triggers_.all.end(), [&](const auto& one) { return one.name == name; });
        if (trigger == file_triggers_.all.end()) return out;
        for (const auto& [key, agent] : agents_) {
            if (!watches(agent, *trigger)) continue;
            FileStanding one{.trigger = name, .agent = agent.record.name, .online = agent.online, .problem = {}};
            if (agent.online && !agent.files) one.problem = fmt::format("{} is of a version that watches for no files: update it", agent.record.name);
            for (const FileStanding& said : agent.files_said)
                if (said.trigger == name) {
                    one.said = agent.files_said_at;
                    if (!said.problem.empty()) one.problem = fmt::format("{}: {}", agent.record.name, said.problem);
                }
            out.push_back(std::move(one));
        }
        std::sort(out.begin(), out.end(), [](const FileStanding& a, const FileStanding& b) { return a.agent < b.agent; });
        return out;
    });
}

}  // namespace mill::factory::core
