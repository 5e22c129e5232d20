// factory/resources/notifier_parts.h -- the parts of a notifier's document that have a file of their own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "factory/resources/resource.h"
#include "platform/base/fields.h"

namespace mill::factory {

/// Reads what it hears of (one of trigger, deployment, environment: a name; agents, deliveries, credentials: [PATTERN…]) and
/// `on`: [EVENT or {EVENT: {for or before: DURATION}}…].
void read_source(Fields& fields, Json& out);
/// trigger, deployment, environment, agents, deliveries or credentials.
std::string notifier_source(const Json& notifier);
std::vector<std::string_view> notifier_events(std::string_view source);

/// {server, tls, from, to, cc, replyTo, subject, text, html, credentials, domains}
Json read_mail(const Json& json, const std::string& where, Fields& top);

/// What it refers to, all that is wrong at once.
tl::expected<void, Refusal> check_notifier_references(const ResourceDocument& document, const References& references);

}  // namespace mill::factory
