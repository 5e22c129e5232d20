// agent/run_spec.h -- everything that one attempt is run with, admitted and fetched.
#pragma once

#include <string>
#include <vector>

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
    std::vector<std::string> masks;    ///< texts of the input that no event shows: passwords, by its schema
    protocol::Permissions grants;
    std::string run_as;                ///< user of the sandbox; empty: the usual one
    std::vector<std::string> sealed;   ///< NAMEs of the credentials that the factory is to seal to the broker's key
    std::string attempt_token;         ///< to ask for them; secret
    Json credentials;                  ///< NAME → values in plain, of a person's own run (`once`); never of a job
    Json runtime;                      ///< facts of the run that expressions may read
    bool repeatable = false;
    bool details = false;                ///< step records carry input and output
    bool events = false, trace = false;  ///< a person watches: CloudEvents and traces, too
    bool step = false;                   ///< …and steps through it: its time stands still while it is paused
    Json rehearsal;                      ///< a test of a package, else null; like `step` never part of a job
    ByteCount quota = mebibytes(64);   ///< of step and log records
    std::string asks = "nobody";       ///< whom the run may ask: the factory, the person at this terminal ("terminal"), nobody
    Json snapshot;                     ///< of a run that waited when this machine went down: it goes on from there; else null
    std::uint64_t last_sequence = 0;   ///< of its events by then
};

/// Asks for the credentials of an attempt, sealed to the key of the broker that runs.
struct SealRequest {
    protocol::AttemptId id;
    std::vector<std::string> names;
    std::string attempt_token;
    std::string broker_key;            ///< 32 bytes
};

/// A metric that an attempt's workflow reads: `metric` is `with` of the activity.
struct ReadRequest {
    protocol::AttemptId id;
    std::uint64_t number = 0;          ///< the runner's
    Json metric;
    std::string attempt_token;
};

/// Credentials that only the broker with this key can open.
struct SealedBox {
    std::string broker_key;            ///< 32 bytes
    std::string agent;                 ///< id: the box is bound to it
    std::string box;                   ///< in base64, as the factory answered
};

/// Why an attempt ends by our hand. The first one stands.
struct Cause {
    protocol::JobState state = protocol::JobState::failed;
    protocol::Reason reason = protocol::Reason::internal;
    std::string why;
    Json evidence;
};

}  // namespace mill::agent
