// agent/sealed_keys.h -- keys of agents that are sealed to their machine, in `DIR.sealed/ID` beside the data folder DIR, which only root opens: the
// keeper hands them to the agent, and a command that root runs opens them itself. A file `key` beside one is newer, and is sealed, too.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "agent/keeper/messages.h"
#include "platform/base/result.h"

namespace mill::agent {

/// Takes what the keeper handed over, when it did: ID and KEY in turns, each KEY as in the file `key`.
void take_sealed_keys();
/// As root, before it is given up: opens all of the data folder's. What cannot be opened is missing.
void open_sealed_keys(const std::string& data_folder);
/// The text of the key of an agent at this factory, when this process was given it. Thread: any.
std::optional<std::string> sealed_key(const std::string& factory_id);

/// Where the file `key.sealed` says that the key is to be sealed: the text in the file `key` when it is newer than the sealed one; the file goes
/// when it is the same.
std::optional<std::string> key_to_seal(const std::string& identity_folder, const std::string& factory_id);
/// Has a key that is newer than its sealed one sealed, by the keeper. Thread: any.
class KeySealer {
public:
    using Ask = std::function<void(std::string id, std::string key)>;
    explicit KeySealer(Ask ask) : ask_(std::move(ask)) {}
    void look(const std::string& identity_folder, const std::string& factory_id);
    void answered(const std::string& factory_id, const std::string& why);

private:
    struct Asked {
        std::string folder, key;
        bool failed = false;   ///< not again for this key
    };
    const Ask ask_;
    std::mutex mutex_;
    std::map<std::string, Asked> asked_;   // by factory
};

/// `millwright-agent seal [--undo]`: prints what it did. Errors: also denied (not root), conflict (--undo beside a running agent).
Status seal_command(const std::string& data_folder, bool undo);

}  // namespace mill::agent
