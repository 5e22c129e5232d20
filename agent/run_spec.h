// agent/run_spec.h -- everything that one attempt is run with, admitted and fetched.
#pragma once

#include <string>

#include "platform/base/clock.h"
#include "platform/base/units.h"
#include "protocol/event.h"
#include "protocol/permissions.h"

namespace mill::agent {

struct RunSpec {
    protocol::AttemptId id;
    std::string package_path;          ///< the .mwp, its digest verified
    std::string workflow = "main";
    Json input, variables;
    protocol::Permissions grants;
    std::string run_as;                ///< user of the sandbox; empty: the usual one
    Json credentials;                  ///< NAME → values; secret, for the broker only
    bool credentials_missing = false;  ///< taken over after a restart and not fetched again: the broker keeps what it has
    Json runtime;                      ///< facts of the run that expressions may read
    bool repeatable = false;
    bool details = false;                ///< step records carry input and output
    bool events = false, trace = false;  ///< a person watches: CloudEvents and traces, too
    bool step = false;                   ///< …and steps through it: its time stands still while it is paused
    Json rehearsal;                      ///< a test of a package, else null; like `step` never part of a job
    ByteCount quota = mebibytes(64);   ///< of step and log records
};

/// Why an attempt ends by our hand. The first one stands.
struct Cause {
    protocol::JobState state = protocol::JobState::failed;
    protocol::Reason reason = protocol::Reason::internal;
    std::string why;
    Json evidence;
};

}  // namespace mill::agent
