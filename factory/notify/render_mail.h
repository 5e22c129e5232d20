// factory/notify/render_mail.h -- from a notification to a mail.
#pragma once

#include "factory/core_values.h"

namespace mill::factory {

/// {kind: "mail", url, server, tls, from, to [], cc [], replyTo, subject, body (text), html, date, about, credentials}. Pure.
/// Errors: invalid (a recipient that is missing, is none, or is outside of the notifier's domains).
Result<Json> render_mail(const Notification& notification, const Json& document);

}  // namespace mill::factory
