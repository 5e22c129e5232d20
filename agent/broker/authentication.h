// agent/broker/authentication.h -- the Authorization header of a request, from inline values or from a credential.
#pragma once

#include <string>

#include "agent/broker/effects.h"
#include "agent/broker/message.h"

namespace mill::broker {

/// `authentication` as in the workflow language: {basic: {username, password} or {use: NAME}}, {bearer: {token} or {use: NAME}},
/// {use: NAME}. A credential goes only to the hosts that it names, and only when the grants name it. Null: empty.
Outcome<std::string> authorization_header(const Json& authentication, const Grants& grants, const platform::Uri& uri);

}  // namespace mill::broker
