#include "agent/broker/effects.h"

#include "agent/broker/verdict.h"
#include "platform/base/fields.h"

namespace mill::broker {

Outcome<Json> command_start(const Json& with, EffectContext& context)
{
    Fields fields(with, "command.start");
    const std::string path = fields.text("path");
    fields.array("arguments", Json::array());  // the runner shows them in the job's log
    if (auto ok = fields.done(); !ok) return tl::unexpected(effect_error(ok.error(), "Bad request"));
    auto program = may_start(context.grants.permissions, path);
    if (!program) return tl::unexpected(program.error());
    return Json::object({{"path", *program}});
}

}  // namespace mill::broker
