// protocol/version.h -- what both ends of a session must know of each other.
#pragma once

#include <string_view>

namespace mill::protocol {

inline constexpr int kVersion = 1;            ///< of /agent/v1 and the pipes; negotiated: the lower one of both ends
inline constexpr std::string_view kProgramVersion = MILL_VERSION;

/// Paths of the agent's side (all POST with JSON unless said otherwise; protocol/README.md has the bodies).
namespace route {
inline constexpr std::string_view kEnrol = "/agent/v1/enrol";
inline constexpr std::string_view kAdmission = "/agent/v1/admission";    // no token: an administrator decides
inline constexpr std::string_view kAdmissionPoll = "/agent/v1/admission/poll";
inline constexpr std::string_view kKey = "/agent/v1/key";                // another key
inline constexpr std::string_view kProof = "/agent/v1/proof";            // no token: the factory shows its key first
inline constexpr std::string_view kToken = "/agent/v1/token";            // form-encoded, RFC 6749
inline constexpr std::string_view kSession = "/agent/v1/session";
inline constexpr std::string_view kOffers = "/agent/v1/offers";          // long poll
inline constexpr std::string_view kEvents = "/agent/v1/events";
inline constexpr std::string_view kLeases = "/agent/v1/leases";
inline constexpr std::string_view kPackages = "/agent/v1/packages/";     // GET + digest, bearer = attempt token
inline constexpr std::string_view kReadMetric = "/agent/v1/metrics/read";            // bearer = attempt token
inline constexpr std::string_view kCredentials = "/agent/v1/credentials/sealed";  // bearer = attempt token
inline constexpr std::string_view kAgentLog = "/agent/v1/log";           // the agent's own log
inline constexpr std::string_view kDoctor = "/agent/v1/doctor";          // the report that a poll's answer asked for
inline constexpr std::string_view kAsk = "/agent/v1/ask";                // a job asks a person
inline constexpr std::string_view kFiles = "/agent/v1/files";           // a file that appeared
inline constexpr std::string_view kWatches = "/agent/v1/watches";       // how the watches for files stand
inline constexpr std::string_view kSessions = "/agent/v1/sessions";     // a person's own agent joins
inline constexpr std::string_view kGoodbye = "/agent/v1/goodbye";        // the agent stops
}  // namespace route

}  // namespace mill::protocol
