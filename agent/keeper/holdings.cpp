// What lies on the disk and whose it is: the agent's folder; its keys, when they are sealed to this machine: root opens them, the agent uses them.
#include <algorithm>

#include "agent/keeper/keeper.h"
#include "platform/base/log.h"
#include "platform/files.h"
#include "platform/machine_seal.h"

namespace mill::keeper {

/// systemd gives the folder (StateDirectory=) back to the unit's user, root, with each command of the unit, ExecReload= too.
void Keeper::give_folder()
{
    const auto user = platform::is_root() && !once_ ? platform::find_user("millwright") : std::nullopt;
    const auto owner = platform::owner_of(settings_.data);
    if (!user || !owner || owner->uid == user->uid) return;
    if (auto given = platform::give_tree(settings_.data, *user); !given) log::warning("keeper", "{}", given.error().what);
    // Not the agent's to read.
    if (!platform::is_folder(secrets_.folder)) return;
    if (auto kept = platform::give_tree(secrets_.folder, {}); !kept) log::warning("keeper", "{}", kept.error().what);
}

platform::Handle Keeper::sealed_keys()
{
    Words words;
    const std::string folder = platform::seal_folder_beside(settings_.data);
    if (!platform::is_root()) return {};
    for (const std::string& id : platform::sealed_names(folder)) {
        auto key = platform::open_sealed(folder, id);
        if (!key) log::error("keeper", "the agent's key is not to be had: {}; on another machine than it was sealed on: enrol the agent again", key.error().what);
        else words.insert(words.end(), {id, std::move(*key)});
    }
    if (words.empty()) return {};
    auto ends = platform::Channel::pair();
    // Far below what a channel takes without a reader: nothing waits here.
    const Status sent = ends ? ends->first.send(encode(words)) : fail(Error(ends.error()));
    if (!sent) log::error("keeper", "the agent's key is not handed over: {}", sent.error().what);
    return sent ? std::move(ends->second).take_handle() : platform::Handle();
}

void Keeper::seal_key(const std::string& id, const std::string& key)
{
    const std::string folder = platform::seal_folder_beside(settings_.data);
    const auto names = platform::sealed_names(folder);
    // Only what an administrator sealed is sealed again: the agent makes no files of root's.
    Status done = std::find(names.begin(), names.end(), id) == names.end() ? fail(Errc::not_found, "it was not sealed before") : platform::seal_secret(folder, id, key);
    Words words{"sealed", id};
    if (!done) {
        log::error("keeper", "the new key of the agent is not sealed: {}", done.error().what);
        words.push_back(done.error().what);
    }
    agent().say(words);
}

}  // namespace mill::keeper
