// agent/person/does.h -- what a job may do, in words for the person who is asked whether it may run.
#pragma once

#include <string>
#include <vector>

#include "protocol/permissions.h"

namespace mill::agent {

/// One thing. `code` and `what` are for a catalogue of another language; codes: files_read, files_write, network, command, credential,
/// credential_shown, system, other, nothing. `what` is a path, host, name; empty where the code says it all.
struct Deed {
    std::string code, what, text;
};

/// What matters most first: what it changes, where it sends, what it starts, whom it signs in as, what it reads. Never empty.
std::vector<Deed> does(const protocol::Permissions& granted);
/// [{code, what, text}]
Json to_json(const std::vector<Deed>& deeds);

}  // namespace mill::agent
