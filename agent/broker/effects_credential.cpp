#include <set>

#include <fmt/core.h>

#include "agent/broker/credentials.h"
#include "agent/broker/effects.h"
#include "agent/broker/verdict.h"
#include "platform/base/fields.h"

namespace mill::broker {
namespace {

constexpr std::size_t kMostRevealed = 64;  // of one call

}  // namespace

/// The only effect whose result holds a secret: it is for the environment and standard input of a command that is about to start.
Outcome<Json> credential_reveal(const Json& with, EffectContext& context)
{
    Fields fields(with, "credential.reveal");
    const std::vector<std::string> handles = fields.texts("handles");
    if (handles.empty() || handles.size() > kMostRevealed) fields.mistake("handles", "is a list of 1 to 64 texts NAME.FIELD");
    if (auto ok = fields.done(); !ok) return tl::unexpected(effect_error(ok.error(), "Bad request"));
    Json values = Json::object();
    for (const std::string& handle : handles) {
        if (auto allowed = may_reveal(context.grants.permissions, std::string_view(handle).substr(0, handle.find('.'))); !allowed) return tl::unexpected(allowed.error());
        if (const std::string name = handle.substr(0, handle.find('.')); context.grants.kept.contains(name))
            return refuse("authorization", 403, "Not revealed here",
                          fmt::format("the machine that holds the credential '{}' lets no job have its value; 'reveal: true' in its file there would allow it", name));
        std::set<std::string> used;
        auto value = value_of_handle(handle, context.grants, used);
        if (!value) return tl::unexpected(value.error());
        values.set(handle, std::move(*value));
    }
    return Json::object({{"values", std::move(values)}});
}

}  // namespace mill::broker
