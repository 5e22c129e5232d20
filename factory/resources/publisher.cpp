#include <set>

#include <fmt/format.h>

#include "factory/resources/kinds.h"
#include "platform/base/fields.h"
#include "protocol/signature.h"

namespace mill::factory {
namespace {

constexpr std::size_t kMostKeys = 2, kMostRevokedKeys = 100;

Json keys_in(Fields& fields, std::string_view member, std::size_t most, std::set<std::string>& seen)
{
    Json out = Json::array();
    for (const std::string& text : fields.texts(member)) {
        if (auto key = protocol::parse_key(text); !key) fields.mistake(member, key.error().what);
        else if (!seen.insert(text).second) fields.mistake(member, fmt::format("has {}, which is there already", text));
        out.push(Json(text));
    }
    if (out.size() > most) fields.mistake(member, fmt::format("are more than {}", most));
    return out;
}

}  // namespace

Result<Json> normalise_publisher(const Json& body, const std::string& where)
{
    Fields fields(body, where);
    Json out = Json::object();
    if (const std::string text = fields.text("description", ""); !text.empty()) out.set("description", Json(text));
    std::set<std::string> seen;   // a key is one that counts, or one that was revoked
    out.set("keys", keys_in(fields, "keys", kMostKeys, seen));
    out.set("revoked", keys_in(fields, "revoked", kMostRevokedKeys, seen));
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

}  // namespace mill::factory
