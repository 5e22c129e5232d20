#include "agent/broker/effects.h"

#include "agent/broker/verdict.h"
#include "platform/base/fields.h"
#include "platform/machine.h"

namespace mill::broker {

Outcome<Json> system_usage(const Json& with, EffectContext& context)
{
    if (auto allowed = may_see_usage(context.grants.permissions); !allowed) return tl::unexpected(allowed.error());
    Fields fields(with, "system.usage");
    const auto disks = fields.texts("disks");
    if (disks.size() > 64) fields.mistake("disks", "has more than 64 entries");
    for (const std::string& disk : disks)
        if (disk.empty() || disk.front() != '/' || disk.size() > 4096) fields.mistake("disks", "holds something that is not an absolute path");
    if (auto ok = fields.done(); !ok) return tl::unexpected(effect_error(ok.error(), "Bad request"));
    auto usage = platform::system_usage(disks);
    if (!usage) return tl::unexpected(effect_error(usage.error(), "No usage"));
    return std::move(*usage);
}

}  // namespace mill::broker
