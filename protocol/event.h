// protocol/event.h -- what happened in an attempt. Made once; the same value in pipe, journal, wire and store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "protocol/states.h"

namespace mill::protocol {

/// Names one attempt. The pair (epoch, attempt) fences every write; the factory is implied by the connection.
struct AttemptId {
    std::string job;             ///< uid
    std::uint64_t epoch = 0;     ///< of the factory's store
    std::uint32_t attempt = 0;   ///< 1, 2, …
    auto operator<=>(const AttemptId&) const = default;
    std::string key() const;     ///< "JOB.EPOCH.ATTEMPT": file names, pipes, logs
    static Result<AttemptId> from_key(std::string_view key);
};

enum class EventKind { state, step, log, gap, metric };
std::string_view name(EventKind kind);

/// Sequence numbers of an attempt start at 1 (the `running` event, made by the agent) and have no holes.
/// `body` by kind, as in protocol/README.md:
///   state {state, reason?, output?, error?, evidence?}   step {task, name, type, state, error?, detail?}
///   log {level, text, task?}                             gap {kind, lost}
///   metric {name, value, unit?, dimensions?}: published when the factory takes it, once
struct Event {
    std::uint64_t sequence = 0;
    WallTime time;
    EventKind kind = EventKind::log;
    Json body;
};

inline constexpr std::size_t kMaxEventBytes = 256 * 1024;             ///< step, log and gap events
inline constexpr std::size_t kMaxStateEventBytes = 17 * 1024 * 1024;  ///< a final state carries the output

/// A text that was cut ends with this and a ']': " [cut]", " [cut: 65536 of 70000 bytes]".
inline constexpr std::string_view kCutMark = " [cut";

Json to_json(const Event& event);
Json to_json(const AttemptId& id);                      ///< {job, epoch, attempt}
Result<Event> parse_event(const Json& json);            ///< Errors: invalid, with the member
Result<AttemptId> parse_attempt_id(const Json& json);   ///< reads job, epoch, attempt and ignores other members

/// The final state in an event, if it is one.
std::optional<JobState> final_state(const Event& event);

Event state_event(std::uint64_t sequence, WallTime time, JobState state, std::optional<Reason> reason = {}, Json more = {});

}  // namespace mill::protocol
