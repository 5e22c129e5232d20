#include "agent/runner/begin.h"

#include "platform/base/fields.h"
#include "platform/channel.h"

namespace mill::runner {
namespace {

Result<Begin> parse_begin(const Json& json)
{
    Fields fields(json, "begin");
    fields.ignore_unknown();
    Begin out;
    out.key = fields.text("key");
    out.workflow = fields.text("workflow", "main");
    out.package = fields.text("package", "/package.mwp");
    out.input = fields.any("input", Json());
    out.variables = fields.object("variables", Json::object());
    out.runtime = fields.object("runtime", Json::object());
    out.first_sequence = static_cast<std::uint64_t>(fields.integer("firstSequence", 1, INT64_MAX, 2));
    out.events = fields.boolean("events", false);
    out.trace = fields.boolean("trace", false);
    out.details = fields.boolean("details", false);
    out.step = fields.boolean("step", false);
    out.asks = fields.text("asks", "");
    out.snapshot = fields.any("snapshot", Json());
    out.rehearsal = fields.any("rehearsal", Json());
    const Json grants = fields.object("grants", Json::object());
    if (auto ok = fields.done(); !ok) return fail(ok.error());
    auto permissions = protocol::parse_permissions(grants, "grants");
    if (!permissions) return fail(permissions.error());
    out.grants = std::move(*permissions);
    return out;
}

}  // namespace

Result<AgentMessage> parse_agent_message(std::string_view text)
{
    auto json = parse_json(text, {.bytes = platform::Channel::kMaxMessage, .depth = 128});
    if (!json) return fail("message of the agent", json.error());
    AgentMessage out;
    if (const Json* begin = json->find("begin")) {
        auto parsed = parse_begin(*begin);
        if (!parsed) return fail(parsed.error());
        out.begin = std::move(*parsed);
    } else if (const Json* ack = json->find("ack")) {
        out.acknowledged = static_cast<std::uint64_t>(ack->as_integer());
    } else if (const Json* resume = json->find("resume")) {
        out.resume = static_cast<std::uint64_t>(resume->as_integer());
    } else if (const Json* cancel = json->find("cancel")) {
        out.cancel = *cancel;
    } else if (const Json* answered = json->find("answered")) {
        out.answered = *answered;
    } else if (json->contains("go")) {
        out.go = true;
    } else if (const Json* read = json->find("read")) {
        out.read = *read;
    } else if (const Json* step = json->find("step")) {
        out.step = *step;
    }
    return out;
}

}  // namespace mill::runner
