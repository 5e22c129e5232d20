// What lies on the disk and whose it is: the agent's folder; its keys, when they are sealed to this machine: root opens them, the agent uses them.
#include <algorithm>

#include "agent/keeper/keeper.h"
#include "platform/base/log.h"
#include "platform/machine_seal.h"

namespace mill::keeper {

/// Once, and only what is root's: an administrator who enrolled. A folder that was somebody's before is not walked by root.
void Keeper::give_folder()
{
    const auto user = platform::is_root() && !once_ ? platform::find_user("millwright") : std::nullopt;
    const auto owner = platform::owner_of(settings_.data);
    if (!user || !owner || owner->uid == user->uid) return;
    // Not the credentials, which are not the agent's to read.
    if (auto given = platform::give_tree(settings_.data, *user, "credentials"); !given) log::warning("keeper", "{}", given.error().what);
}

platform::Handle Keeper::sealed_keys()
{
    Words words;
    const std::string folder = platform::seal_folder_beside(settings_.data);
    if (!platform::is_root()) return {};
    for (const std::string& id : platform::sealed_names(folder)) {
        auto key = platform::open_sealed(folder, id);
        if (key && !is_key(*key)) key = fail(Errc::corrupt, folder + "/" + id + " holds no key");
        if (!key) log::error("keeper", "the agent's key is not to be had: {}; on another machine than it was sealed on: enrol the agent again", key.error().what);
        else words.insert(words.end(), {id, std::move(*key)});
    }
    if (words.empty()) return {};
    auto ends = platform::Channel::pair();
    // 64 keys of 44 bytes at most: far below what a channel takes without a reader.
    const Status sent = ends ? ends->first.send(encode(words), nullptr, {}, std::chrono::milliseconds(0)) : fail(Error(ends.error()));
    if (!sent) log::error("keeper", "the agent's key is not handed over: {}", sent.error().what);
    return sent ? std::move(ends->second).take_handle() : platform::Handle();
}

void Keeper::seal_key(const std::string& id, const std::string& key)
{
    const std::string folder = platform::seal_folder_beside(settings_.data);
    const auto names = platform::sealed_names(folder);
    // Only what an administrator sealed is sealed again: the agent makes no files of root's.
    Status done;
    if (std::find(names.begin(), names.end(), id) == names.end()) done = fail(Errc::not_found, "it was not sealed before");
    else if (!is_key(key)) done = fail(Errc::invalid, "it is no key");
    else done = platform::seal_secret(folder, id, key);
    Words words{"sealed", id};
    if (!done) {
        log::error("keeper", "the new key of the agent is not sealed: {}", done.error().what);
        words.push_back(done.error().what);
    }
    agent().say(words);
}

}  // namespace mill::keeper
