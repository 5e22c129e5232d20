// factory/resources/kinds.h -- one reader for each kind of document. `body` is without kind, name and status.
#pragma once

#include <string>

#include "platform/base/json.h"

namespace mill::factory {

/// {description, agents: [PATTERN…], groups: [{name, agents, groups, requires}], offlineLimit, runAs?, locks?: {NAME: SLOTS}, requireSigned?: [PUBLISHER…], variables?, credentials?: {NAME: CREDENTIAL}}
Result<Json> normalise_environment(const Json& body, const std::string& where);
/// {description, weekdays: ["sat", …], days: ["12-25", …]}: days on which schedules that name it do not fire (factory/schedule/calendar.h)
Result<Json> normalise_calendar(const Json& body, const std::string& where);
/// {description, keys: [KEY…] (two at most), revoked: [KEY…]}: whose signatures of packages these are
Result<Json> normalise_publisher(const Json& body, const std::string& where);
/// {description, package: "NAME@VERSION", environment, variables, credentials, permissions: "as-requested" or a map, allowDraft?: true, locks?: [NAME…]}
Result<Json> normalise_deployment(const Json& body, const std::string& where);
/// {description, deployment, type: "api", "schedule", "event" or "attended", assignedTo? [NAME…], approval? {by, within}, event? {job or webhook, input}, schedule? {cron or every, timezone, calendars, catchUp, overlap, jitter, start?, end?}, chat? {platform, input, reply?, credentials?}, runOn, workflow, input, priority, expiration, concurrency, locks?: [NAME…], stopAfterFailures, paused?}
Result<Json> normalise_trigger(const Json& body, const std::string& where);
/// {description, trigger or another source, on: [EVENT…], when, type: "api", "chat" or "mail", api, chat or mail: {…}} (factory/resources/notifier_parts.h)
Result<Json> normalise_notifier(const Json& body, const std::string& where);

/// {kind, value: {…}, hosts: [ORIGIN…], environment, expires} of a credential. Errors: invalid; never shows a value.
Result<Json> normalise_credential(const Json& body, const std::string& where);

}  // namespace mill::factory
