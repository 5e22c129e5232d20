// A machine's agent vouches for people of its machine, whose own agents join without a code.
#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/identity_answer.h"
#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "protocol/version.h"

namespace mill::factory::handler {

void agent_join(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "session");
    fields.ignore_unknown();
    const auto version = fields.integer("version", 1, 1'000'000, 1);
    SessionJoin join;
    join.machine = call->agent;
    join.user = user_of(fields);
    if (join.user.empty()) fields.mistake("user", "is missing");
    auto key = from_base64(fields.text("publicKey"));
    if (!key || key->size() != 32) fields.mistake("publicKey", "must be 32 bytes in base64");
    join.facts = fields.object("facts", Json::object());
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    join.public_key = std::move(*key);
    const auto answered = std::min<std::int64_t>(version, protocol::kVersion);
    const std::string user = join.user;
    service.core.join_session(std::move(join), [&service, call, answered, user](const Result<AgentRecord>& agent) {
        if (!agent) {
            log::warning("api", "{}'s agent does not join through an agent at {}: {}", user, call->http.remote, agent.error().what);
            if (agent.error().code == Errc::denied) return reply_problem(*call, 403, agent.error().what, "no_sessions");
            return reply_error(*call, agent.error());
        }
        log::info("api", "agent '{}' of {} joined through its machine's agent at {}", agent->name, user, call->http.remote);
        service.sessions.end(agent->id);   // of the key before
        reply_identity(service, *call, *agent, 201, answered);
    });
}

}  // namespace mill::factory::handler
