// workflows/openapi.h -- an operation of an OpenAPI 3.x or Swagger 2.0 document as one HTTP request.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace mill::workflows {

/// JSON or YAML. Errors: invalid (neither, or no OpenAPI document that is known).
Result<Json> parse_openapi(std::string_view text);

/// {method, uri, headers, query, body or bodyText} as `http.request` takes them. `from` is where the document came from: relative
/// servers are resolved against it. Errors: not_found (no such operation: the nearest is named), invalid (a parameter is missing,
/// unknown or unusable).
Result<Json> openapi_request(const Json& document, std::string_view from, std::string_view operation_id, const Json& parameters);

}  // namespace mill::workflows
