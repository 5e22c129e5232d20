// factory/notify/render.h -- from a notification to the request that will be sent, once, when the state changes.
#pragma once

#include "factory/core_values.h"

namespace mill::factory {

struct RenderOptions {
    std::string source;      ///< of CloudEvents: "urn:millwright:factory:ID"
    std::string public_url;  ///< without a slash at the end; empty: monitoringUrl is a path, and there are no links
};

/// What stands in the outbox (nothing secret; credentials are named):
///   {kind: "api", notifier, method, url, headers {}, body (text), authentication, credentials, secret}
///   {kind: "sap-cai", notifier, method, url, body (text), credentials}
///   {kind: "chat", platform, notifier, method, url, headers {}, body (text), credentials, secret}; of Teams the credential has the url
/// Pure. Errors: invalid (a value that the notifier needs is missing: says which).
/// A notifier with jq beyond plain paths gets what factory/notify/evaluated.h makes a request of later: {kind: "unrendered", …}.
Result<Rendered> render_notification(const Notification& notification, const RenderOptions& options);
Renderer make_renderer(RenderOptions options);
/// The same without `when`, of a document (with what only the outside needs) in which all jq has its value.
Result<Rendered> fill_in(const Notification& notification, const Json& document, const RenderOptions& options);

/// Everything in a notifier document (normal form) that is a template, read now rather than when it is needed.
/// Errors: invalid, all mistakes.
Status check_notifier(const Json& notifier);

}  // namespace mill::factory
