// agent/broker/credentials.h -- where a credential's value is put in: into a request that is about to leave, and nowhere else.
#pragma once

#include <set>
#include <string>

#include "agent/broker/effects.h"
#include "agent/broker/message.h"

namespace mill::broker {

/// The credential of that name, when the grants name it and the deployment gave one.
Outcome<Json> find_credential(const std::string& name, const Grants& grants);

/// The text that NAME.FIELD stands for. Errors: authorization, authentication (no such credential, no such text).
Outcome<std::string> value_of_handle(std::string_view handle, const Grants& grants, std::set<std::string>& used);

/// A credential goes only to the hosts that it names; one that names none goes wherever the attempt may.
Outcome<void> may_go_to(const std::string& name, const Grants& grants, const platform::Uri& uri);

/// In workflows a secret is a handle: U+E000 NAME.FIELD U+E001. True when the value holds one anywhere.
bool holds_handle(const Json& value);
/// The same value with every handle replaced; what stands in a member named `uri` is percent-encoded.
Outcome<Json> fill_handles(const Json& value, const Grants& grants, std::set<std::string>& used);

}  // namespace mill::broker
