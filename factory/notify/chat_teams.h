// factory/notify/chat_teams.h -- Microsoft Teams: a message as an Adaptive Card, and where the bot connector takes it. factory/notify/ only.
#pragma once

#include <string>

#include "platform/base/json.h"

namespace mill::factory {

enum class TeamsWay { workflow, bot };
/// The activity with the card.
Json teams_body(const Json& message, TeamsWay by);

/// `{serviceUrl}/v3/conversations/{id}/activities` of a `teams-bot`. Errors: invalid (no service URL or conversation; a service that the notifier's
/// `serviceHosts` do not name).
Result<std::string> teams_bot_url(const Json& chat, const Json& document);

}  // namespace mill::factory
