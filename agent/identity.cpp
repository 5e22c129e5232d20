#include "agent/identity.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agent/sealed_keys.h"
#include "platform/append_file.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/base/ids.h"
#include "platform/files.h"

namespace mill::agent {
namespace {

std::string factories_of(const std::string& data_folder)
{
    return data_folder + "/factories";
}

bool plain_name(std::string_view name)
{
    if (name.empty() || name.front() == '.') return false;
    return name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == std::string_view::npos;
}

Json about(const Identity& identity)
{
    Json out = Json::object({{"factoryUrl", identity.factory_url},
                             {"factoryId", identity.factory_id},
                             {"tokenUrl", identity.token_url},
                             {"agentId", identity.agent_id},
                             {"name", identity.name},
                             {"environment", identity.environment},
                             {"mode", std::string(protocol::name(identity.mode))}});
    if (Json pinned = to_json(identity.publishers); !pinned.empty()) out.set("publishers", std::move(pinned));
    return out;
}

/// A replacement that a crash cut short is done again: its one file holds all of it.
Status finish_replacement(const std::string& folder)
{
    // A crash while the key was set aside to be sealed left it there: it counts, unless there is a newer one.
    if (const std::string key = folder + "/key", aside = key + ".gone"; platform::exists(aside))
        if (auto back = platform::exists(key) ? platform::remove_tree(aside) : platform::replace_file(aside, key); !back) return back;
    const std::string path = folder + "/identity.next";
    if (!platform::exists(path)) return {};
    auto text = platform::read_secret_file(path);
    if (!text) return fail(path, std::move(text.error()));
    auto json = parse_json(*text);
    if (!json) return fail(path, std::move(json.error()));
    const std::pair<const char*, std::string> files[] = {{"key", (*json)["key"].as_string() + "\n"},
                                                         {"factory.pub", (*json)["factoryKey"].as_string() + "\n"},
                                                         {"agent.json", dump_json((*json)["about"], 2) + "\n"}};
    for (const auto& [name, bytes] : files)
        if (auto done = platform::write_file(folder + "/" + name, bytes, 0600); !done) return done;
    if (auto gone = platform::remove_tree(folder + "/key.next"); !gone) return gone;   // it was to follow the key before
    return platform::remove_tree(path);
}

}  // namespace

Status save_identity(const std::string& data_folder, const Identity& identity)
{
    if (!plain_name(identity.factory_id)) return fail(Errc::invalid, "the factory's id is no plain name");
    const std::string parent = factories_of(data_folder);
    const std::string folder = parent + "/" + identity.factory_id;
    if (platform::exists(folder)) return fail(Errc::conflict, fmt::format("this agent is enrolled at factory {} already ({})", identity.factory_id, folder));
    const std::string draft = parent + "/.new-" + new_uid();
    if (auto made = platform::make_folder(draft, 0700); !made) return made;
    const std::pair<const char*, std::string> files[] = {{"key", to_base64(identity.private_key.get()) + "\n"},
                                                         {"counter", "0\n"},
                                                         {"factory.pub", to_base64(identity.factory_key) + "\n"},
                                                         {"agent.json", dump_json(about(identity), 2) + "\n"}};
    for (const auto& [name, bytes] : files)
        if (auto done = platform::write_file(draft + "/" + name, bytes, 0600); !done) return done;
    return platform::replace_file(draft, folder);
}

Status replace_identity(const std::string& data_folder, const Identity& identity)
{
    if (!plain_name(identity.factory_id)) return fail(Errc::invalid, "the factory's id is no plain name");
    const std::string folder = factories_of(data_folder) + "/" + identity.factory_id;
    if (!platform::exists(folder + "/agent.json")) return fail(Errc::not_found, folder + " holds no identity");
    const Json whole = Json::object({{"key", to_base64(identity.private_key.get())}, {"factoryKey", to_base64(identity.factory_key)}, {"about", about(identity)}});
    if (auto done = platform::write_file(folder + "/identity.next", dump_json(whole) + "\n", 0600); !done) return done;
    return finish_replacement(folder);
}

namespace {

Result<platform::SigningKey> read_pair(const std::string& path)
{
    auto text = platform::read_secret_file(path);
    if (!text) return fail(path, std::move(text.error()));
    auto json = parse_json(*text);
    if (!json) return fail(path, std::move(json.error()));
    auto secret = from_base64((*json)["key"].as_string());
    auto open = from_base64((*json)["publicKey"].as_string());
    if (!secret || !open || secret->size() != 32 || open->size() != 32) return fail(Errc::corrupt, path + ": not the two halves of a key");
    return platform::SigningKey{*secret, *open};
}

}  // namespace

Result<platform::SigningKey> known_next_key(const Identity& identity)
{
    const std::string path = identity.folder + "/key.next";
    if (!platform::exists(path)) return fail(Errc::not_found, path + " is not there");
    auto pair = read_pair(path);
    // A crash between the two steps of promote_key left it.
    if (pair && pair->private_key == identity.private_key.get()) return fail(Errc::not_found, path + " is the key already");
    return pair;
}

Result<platform::SigningKey> next_key(const Identity& identity)
{
    if (auto known = known_next_key(identity); known || known.error().code != Errc::not_found) return known;
    platform::SigningKey key = platform::make_signing_key();
    const Json json = Json::object({{"key", to_base64(key.private_key)}, {"publicKey", to_base64(key.public_key)}});
    const std::string path = identity.folder + "/key.next";
    if (auto done = platform::write_file(path, dump_json(json) + "\n", 0600); !done) return fail(path, std::move(done.error()));
    return key;
}

Status promote_key(const Identity& identity, const platform::SigningKey& next)
{
    const std::string path = identity.folder + "/key";
    if (auto done = platform::write_file(path, to_base64(next.private_key) + "\n", 0600); !done) return fail(path, std::move(done.error()));
    identity.private_key.set(next.private_key);
    return platform::remove_tree(identity.folder + "/key.next");
}

Milliseconds key_age(const Identity& identity)
{
    std::error_code error;
    auto written = std::filesystem::last_write_time(identity.folder + "/key", error);
    if (error) written = std::filesystem::last_write_time(identity.folder + "/key.sealed", error);
    if (error) return Milliseconds(0);
    return std::chrono::duration_cast<Milliseconds>(std::filesystem::file_time_type::clock::now() - written);
}

Result<std::vector<std::string>> enrolled_factories(const std::string& data_folder)
{
    std::vector<std::string> out;
    std::error_code error;
    for (std::filesystem::directory_iterator at(factories_of(data_folder), error), end; !error && at != end; at.increment(error)) {
        const std::string name = at->path().filename().string();
        if (plain_name(name)) out.push_back(name);
    }
    if (error && error != std::errc::no_such_file_or_directory)
        return fail(Errc::denied, fmt::format("{}: {}", factories_of(data_folder), error.message()));
    return out;
}

Result<std::vector<std::string>> served_factories(const std::string& data_folder, const std::string& only)
{
    auto ids = enrolled_factories(data_folder);
    if (!ids) return ids;
    if (ids->empty())
        return fail(Errc::invalid, fmt::format("{} is not enrolled at a factory: millwright-agent enrol --data {} --factory URL --code CODE", data_folder, data_folder));
    if (only.empty()) return ids;
    if (std::find(ids->begin(), ids->end(), only) == ids->end())
        return fail(Errc::invalid, fmt::format("config.yaml: 'factory: {}' is none of those that {} is enrolled at: {}", only, data_folder, fmt::join(*ids, ", ")));
    return std::vector{only};
}

Result<Identity> load_identity(const std::string& data_folder, const std::string& factory_id)
{
    Identity identity;
    identity.folder = factories_of(data_folder) + "/" + factory_id;
    if (auto finished = finish_replacement(identity.folder); !finished) return fail(std::move(finished.error()));
    const auto secret = [&](const char* name) -> Result<std::string> {
        const std::string path = identity.folder + "/" + name;
        const auto sealed = name == std::string_view("key") && !platform::exists(path) ? sealed_key(factory_id) : std::nullopt;
        if (!sealed && !platform::exists(path) && platform::exists(path + ".sealed"))
            return fail(Errc::denied, fmt::format("{}: the agent's key is sealed to this machine, and was not to be opened: only root and the service do (millwright-agent service start). "
                                                  "On another machine than it was sealed on: enrol this agent again", path));
        auto text = sealed ? Result<std::string>(*sealed) : platform::read_secret_file(path);
        if (!text) return fail(path, std::move(text.error()));
        while (!text->empty() && text->back() == '\n') text->pop_back();
        auto bytes = from_base64(*text);
        constexpr std::size_t size = 32;
        if (!bytes || bytes->size() != size) return fail(Errc::corrupt, fmt::format("{}: not a key of {} bytes; enrol this agent again", path, size));
        return std::string(bytes->data(), bytes->size());
    };
    auto key = secret("key");
    if (!key) return fail(std::move(key.error()));
    auto pinned = secret("factory.pub");
    if (!pinned) return fail(std::move(pinned.error()));
    identity.private_key = std::move(*key);
    identity.factory_key = std::move(*pinned);
    const std::string path = identity.folder + "/agent.json";
    auto text = platform::read_file(path, 1024 * 1024);
    if (!text) return fail(path, std::move(text.error()));
    auto json = parse_json(*text);
    if (!json) return fail(path, std::move(json.error()));
    Fields fields(*json, path);
    identity.publishers = read_publishers((*json)["publishers"]);
    identity.factory_url = fields.text("factoryUrl");
    identity.factory_id = fields.text("factoryId");
    identity.token_url = fields.text("tokenUrl");
    identity.agent_id = fields.text("agentId");
    identity.name = fields.text("name");
    identity.environment = fields.text("environment", "");
    identity.mode = protocol::parse_mode(fields.one_of("mode", {"attended", "unattended"})).value_or(protocol::AgentMode::unattended);
    fields.ignore_unknown();
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return identity;
}

Result<std::uint64_t> next_counter(const Identity& identity)
{
    const std::string path = identity.folder + "/counter";
    auto text = platform::read_secret_file(path);
    if (!text) return fail(path, std::move(text.error()));
    std::uint64_t counter = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), counter);
    if (error != std::errc() || end == text->data()) return fail(Errc::corrupt, path + " holds no number");
    ++counter;
    if (auto done = platform::write_file(path, fmt::format("{}\n", counter), 0600); !done) return fail(path, std::move(done.error()));
    return counter;
}

Result<platform::Handle> lock_data_folder(const std::string& data_folder)
{
    auto lock = platform::lock_file(data_folder + "/lock");
    if (!lock && lock.error().code == Errc::conflict) return fail(data_folder + " is in use", std::move(lock.error()));
    if (!lock) return fail(std::move(lock.error()));
    return lock;
}

}  // namespace mill::agent
