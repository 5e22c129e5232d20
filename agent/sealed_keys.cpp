#include "agent/sealed_keys.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "agent/identity.h"
#include "platform/append_file.h"
#include "platform/base/log.h"
#include "platform/channel.h"
#include "platform/files.h"
#include "platform/machine_seal.h"
#include "platform/privileges.h"
#include "platform/process.h"

namespace mill::agent {
namespace {

struct Keys {
    std::mutex mutex;
    std::map<std::string, std::string, std::less<>> of;
};

Keys& keys()
{
    static Keys all;
    return all;
}

void hold(const std::string& id, std::string key)
{
    const std::scoped_lock lock(keys().mutex);
    keys().of[id] = std::move(key);
}

constexpr std::string_view kNote = "The key of this agent is sealed to this machine: only root and the service open it (millwright-agent seal --undo).\n";

/// A file that says that the key is to be sealed; as old as the key.
std::string note_of(const std::string& identity_folder) { return identity_folder + "/key.sealed"; }

std::string without_end(std::string text)
{
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

/// The file with this key goes; a newer one that came meanwhile stays.
Status leave_to_seal(const std::string& identity_folder, const std::string& known)
{
    const std::string key = identity_folder + "/key", aside = identity_folder + "/key.gone";
    std::error_code error;
    const auto age = std::filesystem::last_write_time(key, error);
    if (!error) std::filesystem::last_write_time(note_of(identity_folder), age, error);
    if (auto moved = platform::replace_file(key, aside); !moved) return moved;
    const auto text = platform::read_secret_file(aside);
    if (!text || without_end(*text) != known) return platform::replace_file(aside, key);
    return platform::remove_tree(aside);
}

/// Nothing, when it is not there or no key.
std::optional<std::string> plain_key(const std::string& identity_folder)
{
    const auto text = platform::read_secret_file(identity_folder + "/key");
    if (!text || !keeper::is_key(without_end(*text))) return std::nullopt;
    return without_end(*text);
}

/// For root, whom a link in the folder of another user must not lead to a third one's files: read as that user.
std::optional<std::string> key_of_user(const std::string& identity_folder, platform::User user)
{
    if (user.uid == 0) {
        std::error_code error;
        for (const std::string& part : {identity_folder, identity_folder + "/key"})
            if (std::filesystem::is_symlink(part, error)) return std::nullopt;
        return plain_key(identity_folder);
    }
    platform::ProcessSpec spec;
    spec.program = "/usr/bin/head";
    spec.arguments = {"-c", "64", identity_folder + "/key"};
    spec.uid = user.uid;
    spec.gid = user.gid;
    auto read = platform::run_process(spec, "", 64, std::chrono::seconds(10));
    if (!read || read->ending.exit_code != 0 || read->ending.signal != 0) return std::nullopt;
    if (!keeper::is_key(without_end(read->out))) return std::nullopt;
    return without_end(read->out);
}

}  // namespace

void take_sealed_keys()
{
    if (std::getenv(keeper::kKeysVariable) == nullptr) return;
    auto channel = platform::Channel::from(platform::Handle(4));
    auto message = channel.receive(std::chrono::seconds(1));
    auto words = message && *message ? keeper::decode((*message)->text) : Result<keeper::Words>(fail(Errc::unavailable, "nothing came"));
    if (!words) return log::error("agent", "the keeper handed over no keys: {}", words.error().what);
    for (std::size_t i = 0; i + 1 < words->size(); i += 2) hold((*words)[i], (*words)[i + 1]);
}

void open_sealed_keys(const std::string& data_folder)
{
    if (!platform::is_root()) return;
    const std::string folder = platform::seal_folder_beside(data_folder);
    for (const std::string& id : platform::sealed_names(folder)) {
        if (auto key = platform::open_sealed(folder, id); key) hold(id, std::move(*key));
        else log::error("agent", "{}", key.error().what);
    }
}

std::optional<std::string> sealed_key(const std::string& factory_id)
{
    const std::scoped_lock lock(keys().mutex);
    const auto found = keys().of.find(factory_id);
    return found == keys().of.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> key_to_seal(const std::string& identity_folder, const std::string& factory_id)
{
    const auto sealed = sealed_key(factory_id);
    if (!sealed || !platform::exists(note_of(identity_folder)) || !platform::exists(identity_folder + "/key")) return std::nullopt;
    auto plain = plain_key(identity_folder);
    if (!plain || *plain != *sealed) return plain;
    if (auto gone = leave_to_seal(identity_folder, *plain); !gone) log::warning("agent", "{}", gone.error().what);
    else log::info("agent", "the key is sealed to this machine; {}/key is gone", identity_folder);
    return std::nullopt;
}

void KeySealer::look(const std::string& identity_folder, const std::string& factory_id)
{
    auto key = key_to_seal(identity_folder, factory_id);
    if (!key) return;
    {
        const std::scoped_lock lock(mutex_);
        const auto [at, fresh] = asked_.try_emplace(factory_id);
        // One question at a time: its answer is then about this key, and a newer one is asked for afterwards.
        if (!fresh && (!at->second.failed || at->second.key == *key)) return;
        at->second = {identity_folder, *key, false};
    }
    ask_(factory_id, std::move(*key));
}

void KeySealer::answered(const std::string& factory_id, const std::string& why)
{
    const std::scoped_lock lock(mutex_);
    const auto at = asked_.find(factory_id);
    if (at == asked_.end()) return;
    if (!why.empty()) {
        at->second.failed = true;
        log::error("agent", "the new key lies in {}/key, mode 600, and is not sealed: {}; try: millwright-agent seal", at->second.folder, why);
        return;
    }
    hold(factory_id, at->second.key);
    (void)key_to_seal(at->second.folder, factory_id);
    asked_.erase(at);
}

Status seal_command(const std::string& data_folder, bool undo)
{
    if (std::string why = platform::why_no_seal(); !why.empty()) return fail(Errc::denied, "a key cannot be sealed here: " + why);
    const std::string folder = platform::seal_folder_beside(data_folder);
    auto ids = enrolled_factories(data_folder);
    if (!ids) return fail(std::move(ids.error()));
    if (ids->empty()) return fail(Errc::invalid, data_folder + " is not enrolled at a factory: millwright-agent enrol");
    const auto owner = platform::owner_of(data_folder);
    if (!owner) return fail(Errc::not_found, data_folder + " is not there");
    open_sealed_keys(data_folder);
    const auto place_of = [&](const std::string& id) { return fmt::format("{}/factories/{}", data_folder, id); };
    for (const std::string& id : *ids) {
        const auto plain = key_of_user(place_of(id), *owner);
        if (!plain && !sealed_key(id))
            return fail(Errc::not_found, fmt::format("{}: there is neither a file with the key nor one that is sealed on this machine: enrol this agent again", place_of(id)));
        if (undo || !plain || plain == sealed_key(id)) continue;
        if (auto sealed = platform::seal_secret(folder, id, *plain); !sealed) return sealed;
        hold(id, *plain);
    }
    // What else is done is done in the agent's own folder, as its user: nothing there leads root astray.
    if (auto ok = platform::become_owner_of(data_folder); !ok) return ok;
    auto lock = lock_data_folder(data_folder);
    const bool running = !lock && lock.error().code == Errc::conflict;
    if (!lock && (!running || undo)) return fail(fmt::format("stop the agent first (millwright-agent stop --data {})", data_folder), std::move(lock.error()));
    for (const std::string& id : *ids) {
        const std::string place = place_of(id);
        if (undo) {
            if (const auto key = sealed_key(id); key && !platform::exists(place + "/key"))
                if (auto written = platform::write_file(place + "/key", *key + "\n", 0600); !written) return written;
            if (auto gone = platform::remove_tree(note_of(place)); !gone) return gone;
            fmt::print("{}/key: a file of mode 600 holds the key\n", place);
            continue;
        }
        if (auto written = platform::write_file(note_of(place), kNote, 0600); !written) return written;
        if (running && platform::exists(place + "/key")) {
            fmt::print("{}/{}: sealed; {}/key goes with the agent's next start: millwright-agent reload --data {}\n", folder, id, place, data_folder);
            continue;
        }
        (void)key_to_seal(place, id);
        if (platform::exists(place + "/key")) return fail(Errc::denied, fmt::format("{}/key is still there, and is not the key that is sealed: see what it is, remove it, or enrol this agent again", place));
        fmt::print("{}/{}: sealed; no file in {} holds the key\n", folder, id, place);
    }
    return {};
}

}  // namespace mill::agent
