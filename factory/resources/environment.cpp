#include <algorithm>

#include <fmt/format.h>

#include "factory/resources/kinds.h"
#include "factory/resources/resource.h"
#include "platform/base/clock.h"
#include "platform/base/fields.h"

namespace mill::factory {
namespace {

constexpr int kGroupDepth = 8;
constexpr std::size_t kLocks = 1000;

Json patterns(Fields& fields, std::string_view key)
{
    Json out = Json::array();
    for (const std::string& pattern : fields.texts(key)) {
        if (pattern.empty() || pattern.size() > 200)
            fields.mistake(key, "must hold patterns of 1 to 200 characters");
        else if (pattern.starts_with("label:") && pattern.find('=') == std::string::npos)
            fields.mistake(key, fmt::format("has '{}': a label is written label:NAME=VALUE", pattern));
        else if (pattern == "user:")
            fields.mistake(key, "has 'user:': agents of a person are written user:NAME");
        out.push(Json(pattern));
    }
    return out;
}

Json group(const Json& json, const std::string& where, int depth, Fields& top)
{
    Fields fields(json, where);
    Json out = Json::object();
    const std::string name = fields.text("name");
    out.set("name", Json(name));
    out.set("agents", patterns(fields, "agents"));
    out.set("requires", fields.object("requires", Json::object()));
    Json below = Json::array();
    if (depth >= kGroupDepth) {
        fields.mistake("groups", fmt::format("are nested deeper than {}", kGroupDepth));
        fields.any("groups", Json());
    } else {
        const Json groups = fields.array("groups", Json::array());   // held: the loop only refers to it
        for (const Json& item : groups.as_array())
            below.push(group(item, fmt::format("group '{}'", item["name"].as_string()), depth + 1, top));
    }
    out.set("groups", std::move(below));
    if (auto done = fields.done(); !done) top.mistake("groups", done.error().what);
    return out;
}

/// As useradd(8) takes it.
bool is_user_name(std::string_view name)
{
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
    return !name.empty() && name.size() <= 32 && letter(name.front()) && name != "root" &&
           std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-'; });
}

}  // namespace

Result<Json> normalise_environment(const Json& body, const std::string& where)
{
    Fields fields(body, where);
    Json out = Json::object();
    if (const std::string text = fields.text("description", ""); !text.empty()) out.set("description", Json(text));
    out.set("agents", patterns(fields, "agents"));   // none, and no groups: the agents that were enrolled in it, or of a private one those of its user
    // Left out when it is shared: documents of before stay as they are.
    const bool own = fields.one_of("access", {"shared", "private"}, "shared") == "private";
    const std::string person = fields.text("user", "");
    if (own && person.empty()) fields.mistake("user", "is missing: 'access: private' is for one person, such as `user: anna`");
    if (!own && !person.empty()) fields.mistake("user", "is for an environment of `access: private`");
    if (person.size() > 100 || person.find_first_of("*?: ") != std::string::npos) fields.mistake("user", fmt::format("must be one person's name as in user:NAME, such as anna; found '{}'", person.substr(0, 120)));
    if (own) out.set("access", "private").set("user", Json(person));
    Json groups = Json::array();
    const Json given = fields.array("groups", Json::array());
    for (const Json& item : given.as_array())
        groups.push(group(item, fmt::format("group '{}'", item["name"].as_string()), 1, fields));
    out.set("groups", std::move(groups));
    if (const std::string user = fields.text("runAs", ""); !user.empty()) {
        if (!is_user_name(user)) fields.mistake("runAs", fmt::format("must be a user's name, 1 to 32 lower-case letters, digits, '-' and '_', not root; found '{}'", user.substr(0, 60)));
        out.set("runAs", Json(user));
    }
    // Defaults of its deployments; left out when they are not said: documents of before stay as they are.
    if (Json variables = fields.object("variables", Json::object()); !variables.empty()) out.set("variables", std::move(variables));
    if (Json credentials = fields.object("credentials", Json::object()); !credentials.empty()) {
        for (const auto& [name, value] : credentials.as_object())
            if (!value.is_string() || value.as_string().empty())
                fields.mistake("credentials", fmt::format("maps '{}' to {}, expected the name of a credential", name, value.kind_name()));
        out.set("credentials", std::move(credentials));
    }
    if (const auto publishers = fields.texts("requireSigned"); !publishers.empty()) {
        Json list = Json::array();
        for (const std::string& name : publishers) list.push(Json(name));
        out.set("requireSigned", std::move(list));
    }
    if (const Json given_locks = fields.object("locks", Json::object()); !given_locks.empty()) {
        if (given_locks.size() > kLocks) fields.mistake("locks", fmt::format("has more than {}", kLocks));
        Json locks = Json::object();
        for (const auto& [name, slots] : given_locks.as_object()) {
            if (!is_name(name)) fields.mistake("locks", fmt::format("has '{}', expected a name of small letters, digits, '-', '_' and '.'", name.substr(0, 100)));
            if (!slots.is_integer() || slots.as_integer() < 1 || slots.as_integer() > 1000)
                fields.mistake("locks", fmt::format("gives '{}' {}, expected how many jobs hold it at a time, from 1 to 1000", name.substr(0, 100), slots.is_integer() ? dump_json(slots) : slots.kind_name()));
            locks.set(name, slots);
        }
        out.set("locks", std::move(locks));
    }
    const std::string limit = fields.text("offlineLimit", "15m");
    if (auto parsed = parse_duration(limit); !parsed || parsed->count() < 1000)
        fields.mistake("offlineLimit", fmt::format("must be a duration of at least 1s, such as 15m; found '{}'", limit));
    else
        out.set("offlineLimit", Json(format_duration(*parsed)));
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

}  // namespace mill::factory
