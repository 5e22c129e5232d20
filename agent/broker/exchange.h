// agent/broker/exchange.h -- one HTTP exchange: checked against the grants, sent to an admitted address. Redirects are answers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/broker/effects.h"
#include "agent/broker/message.h"
#include "platform/http_client.h"

namespace mill::broker {

struct Asked {
    platform::HttpRequest request;
    platform::Uri uri;
};

/// Blocks: up to context.left(). Errors: authorization (not granted), communication, timeout.
Outcome<platform::HttpResponse> exchange(const Asked& asked, EffectContext& context);

/// In place of one of that name that is there. Errors: configuration (the value is none that a header can have).
Outcome<void> set_header(platform::HttpRequest& request, std::string_view name, std::string value);

bool is_header_value(std::string_view text);

}  // namespace mill::broker
