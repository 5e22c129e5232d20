// factory/notify/evaluated.h -- notifiers with jq: what waits for its evaluation, behind the transaction that made the delivery.
#pragma once

#include "factory/check/evaluator.h"
#include "factory/notify/render.h"

namespace mill::factory {

/// Where a notifier's templates stand, in the order of its document: "api.body" and the value there.
std::vector<std::pair<std::string, Json>> template_places(const Json& notifier);

/// What stands in the outbox in place of a request: {kind: "unrendered", notifier, url (the receiver's, as far as it is known), event, document, spec}.
/// Nothing when the notifier has no jq beyond what is plain.
std::optional<Json> unrendered(const Notification& notification, const Json& document);
bool is_unrendered(const Json& request);

/// Answers `done` with what is wrong with the notifier's jq, all at once: expression, place and jq's own words. False: too much waits already.
bool compile_notifier(ExpressionEvaluator& evaluator, const Json& notifier, std::function<void(Status)> done);

/// From what stands in the outbox to the request. Blocks: for the evaluator. Errors: unavailable, cancelled (later it may be possible); any other is final.
using LateRenderer = std::function<Result<Rendered>(const std::string& delivery, const Json& waiting)>;
LateRenderer make_late_renderer(std::function<RenderOptions()> options, ExpressionEvaluator& evaluator);

}  // namespace mill::factory
