// agent/person/refusals.h -- a person's calls of a factory: how long they take, and what its refusal means. Private to at_person*.cpp.
#pragma once

#include <chrono>
#include <string_view>

#include "agent/factory_client.h"
#include "agent/person/told.h"

namespace mill::agent {

constexpr std::string_view kLaunch = "/agent/v1/person/launch";
constexpr std::chrono::seconds kAnswerTime{10}, kVital{60};
constexpr std::chrono::seconds kTellSoon{10}, kTellPause{1};   ///< what has just begun stands in the journal a moment later
constexpr std::chrono::hours kSeenKept{1};   ///< how old the time on the disk at which the factory was there may be

/// A refusal of the factory: by its own name, where that says more than its status.
inline std::string_view code_of(const Refusal& refusal)
{
    for (const std::string_view name : {"answered", "paused"})
        if (refusal.name == name) return name;
    switch (refusal.status) {
    case 400:
    case 422: return "invalid_input";
    case 403: return "not_yours";
    case 404: return "unknown";
    case 409: return "conflict";
    case 410: return "expired";
    case 429: return "too_many";
    default: return "factory_away";
    }
}

inline Told refusal_words(const Error& error, const Refusal& refusal)
{
    Told out = told_no(503, code_of(refusal), error.what);
    const bool said = refusal.status == 400 || refusal.status == 403 || refusal.status == 404 || refusal.status == 409 || refusal.status == 410 || refusal.status == 422;
    if (said) out.status = refusal.status == 422 ? 400 : refusal.status;
    if (const std::string& detail = refusal.body["detail"].as_string(); said && !detail.empty()) out.body.set("detail", detail);
    for (const char* member : {"mistakes", "by", "when", "at"})
        if (const Json* value = refusal.body.find(member); said && value != nullptr) out.body.set(member, *value);
    if (const Json& by = refusal.body["question"]["answeredBy"]; said && by.is_string()) out.body.set("by", by);
    return out;
}

/// No word of the factory itself: it may have heard, and may not.
inline bool is_away(const Refusal& refusal) { return refusal.status == 0 || refusal.status == 401 || refusal.status == 408 || refusal.status == 429 || refusal.status >= 500; }

}  // namespace mill::agent
