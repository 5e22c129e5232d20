#include "agent/credentials_command.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/base/yaml.h"
#include "platform/files.h"
#include "platform/folder.h"
#include "platform/process.h"
#include "protocol/credential_kinds.h"

namespace mill::agent {
namespace {

constexpr int kWrong = 78;
constexpr const char* kServiceFolder = "/run/credentials/millwright-agent.service";

/// The names of its members. Errors: what is wrong, without a value.
Result<std::vector<std::string>> look_into(const platform::SecretPlaces& places, const std::string& name)
{
    auto file = platform::open_secret(places, name);
    if (!file) return fail(std::move(file.error()));
    std::string text;
    for (;;) {
        auto some = platform::read_some(*file, 64 * 1024);
        if (!some) return fail(std::move(some.error()));
        if (some->empty()) break;
        text += *some;
        if (text.size() > platform::kMaxSecretFile) return fail(Errc::too_large, "is too large");
    }
    // The parser's words may repeat what stands in the file.
    const auto document = parse_yaml(text, {.bytes = platform::kMaxSecretFile, .nodes = 1000, .depth = 8});
    if (!document) return fail(Errc::invalid, "is neither YAML nor JSON");
    const auto read = protocol::read_machine_credential("", document->value);
    if (!read) return fail(read.error());
    std::vector<std::string> members;
    for (const auto& [member, value] : read->values.as_object()) members.push_back(member);
    return members;
}

}  // namespace

platform::SecretPlaces secret_places(const std::string& data_folder)
{
    platform::SecretPlaces places;
    const char* service = std::getenv("CREDENTIALS_DIRECTORY");
    places.service = service != nullptr ? service : kServiceFolder;
    places.prefix = "millwright";
    places.folder = data_folder + "/credentials";
    if (!platform::is_root()) return places;
    if (const auto broker = platform::find_user("millwright-broker")) places.owners.push_back(broker->uid);
    // An agent that an ordinary user runs keeps that user's files; one that root started does not take its own user's.
    const auto agent = platform::find_user("millwright");
    if (const auto owner = platform::owner_of(data_folder); owner && !(agent && agent->uid == owner->uid)) places.owners.push_back(owner->uid);
    return places;
}

std::vector<HeldCredential> held_credentials(const platform::SecretPlaces& places, bool read)
{
    std::vector<HeldCredential> out;
    for (platform::FoundSecret& found : platform::list_secrets(places)) {
        HeldCredential held{std::move(found.name), std::move(found.path), {}, found.usable ? std::string() : found.usable.error().what};
        if (found.usable && read) {
            auto members = look_into(places, held.name);
            if (members) held.members = std::move(*members);
            else held.wrong = fmt::format("{} {}", held.path, members.error().what);
        }
        out.push_back(std::move(held));
    }
    return out;
}

int show_credentials(const std::string& data_folder, bool check, bool json)
{
    const platform::SecretPlaces places = secret_places(data_folder);
    const auto all = held_credentials(places, check);
    const bool wrong = std::any_of(all.begin(), all.end(), [](const HeldCredential& held) { return !held.wrong.empty(); });
    if (json) {
        Json list = Json::array();
        for (const HeldCredential& held : all) {
            Json item = Json::object({{"name", held.name}, {"path", held.path}});
            if (check && held.wrong.empty()) {
                Json members = Json::array();
                for (const std::string& member : held.members) members.push(Json(member));
                item.set("members", std::move(members));
            }
            if (!held.wrong.empty()) item.set("wrong", held.wrong);
            list.push(std::move(item));
        }
        fmt::print("{}\n", dump_json(Json::object({{"credentials", std::move(list)}})));
    } else if (all.empty()) {
        fmt::print("this machine holds no credentials: there is no {}/{}.NAME and no {}/NAME.yaml\n", places.service, places.prefix, places.folder);
    } else {
        for (const HeldCredential& held : all) {
            if (!held.wrong.empty()) fmt::print("WRONG  {}: {}\n", held.name, held.wrong);
            else if (check) fmt::print("ok     {}: {} ({})\n", held.name, held.path, fmt::join(held.members, ", "));
            else fmt::print("{}: {}\n", held.name, held.path);
        }
    }
    return wrong ? kWrong : 0;
}

}  // namespace mill::agent
