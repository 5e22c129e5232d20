#include "agent/identity.h"

#include <charconv>
#include <filesystem>

#include <fmt/format.h>

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

}  // namespace

Status save_identity(const std::string& data_folder, const Identity& identity)
{
    if (!plain_name(identity.factory_id)) return fail(Errc::invalid, "the factory's id is no plain name");
    const std::string parent = factories_of(data_folder);
    const std::string folder = parent + "/" + identity.factory_id;
    if (platform::exists(folder)) return fail(Errc::conflict, fmt::format("this agent is enrolled at factory {} already ({})", identity.factory_id, folder));
    const std::string draft = parent + "/.new-" + new_uid();
    if (auto made = platform::make_folder(draft, 0700); !made) return made;
    const Json about = Json::object({{"factoryUrl", identity.factory_url},
                                     {"factoryId", identity.factory_id},
                                     {"tokenUrl", identity.token_url},
                                     {"agentId", identity.agent_id},
                                     {"name", identity.name},
                                     {"environment", identity.environment},
                                     {"mode", std::string(protocol::name(identity.mode))}});
    const std::pair<const char*, std::string> files[] = {{"key", to_base64(identity.private_key) + "\n"},
                                                         {"counter", "0\n"},
                                                         {"factory.pub", to_base64(identity.factory_key) + "\n"},
                                                         {"agent.json", dump_json(about, 2) + "\n"}};
    for (const auto& [name, bytes] : files)
        if (auto done = platform::write_file(draft + "/" + name, bytes, 0600); !done) return done;
    return platform::replace_file(draft, folder);
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

Result<Identity> load_identity(const std::string& data_folder, const std::string& factory_id)
{
    Identity identity;
    identity.folder = factories_of(data_folder) + "/" + factory_id;
    const auto secret = [&](const char* name) -> Result<std::string> {
        const std::string path = identity.folder + "/" + name;
        auto text = platform::read_secret_file(path);
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
    auto text = platform::read_file(path, 65536);
    if (!text) return fail(path, std::move(text.error()));
    auto json = parse_json(*text);
    if (!json) return fail(path, std::move(json.error()));
    Fields fields(*json, path);
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
