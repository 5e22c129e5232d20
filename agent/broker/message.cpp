#include "agent/broker/message.h"

#include <algorithm>

#include <fmt/core.h>

#include "platform/base/fields.h"

namespace mill::broker {

EffectError effect_error(const Error& error, std::string title)
{
    const auto make = [&](std::string type, int status) { return EffectError{std::move(type), status, std::move(title), error.what}; };
    switch (error.code) {
    case Errc::invalid: return make("validation", 400);
    case Errc::denied: return make("authorization", 403);
    case Errc::not_found: return make("runtime", 404);
    case Errc::conflict: return make("runtime", 409);
    case Errc::too_large: return make("runtime", 413);
    case Errc::unavailable: return make("runtime", 503);
    case Errc::timeout: return make("timeout", 408);
    case Errc::cancelled: return make("runtime", 499);
    case Errc::corrupt: return make("validation", 422);
    case Errc::internal: break;
    }
    return make("runtime", 500);
}

namespace {

/// At least as many as the values that the text would become.
std::size_t count_values(std::string_view text)
{
    std::size_t count = 1;
    bool in_text = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (in_text && c == '\\') ++at;
        else if (c == '"') in_text = !in_text;
        else if (!in_text && (c == ',' || c == '[' || c == '{')) ++count;
    }
    return count;
}

Json with_count(Json answer, std::size_t masked)
{
    if (masked > 0) answer.set("masked", static_cast<std::int64_t>(masked));
    return answer;
}

}  // namespace

Result<Incoming> parse_incoming(std::string_view text)
{
    if (text.size() > kMaxCallBytes) return fail(Errc::too_large, fmt::format("message of the runner: more than {} bytes", kMaxCallBytes));
    if (count_values(text) > kMaxCallValues) return fail(Errc::too_large, fmt::format("message of the runner: more than {} values", kMaxCallValues));
    auto json = parse_json(text, {.bytes = kMaxCallBytes, .depth = 64});
    if (!json) return fail("message of the runner", json.error());
    Incoming out;
    Fields fields(*json, "message of the runner");
    fields.ignore_unknown();
    if (fields.has("listener")) {
        out.listener = fields.boolean("listener", false);
        if (!out.listener) fields.mistake("listener", "is true");
    } else if (fields.has("cancel")) {
        out.cancel = static_cast<std::uint64_t>(fields.integer("cancel", 1, INT64_MAX));
    } else {
        EffectCall call;
        call.id = static_cast<std::uint64_t>(fields.integer("id", 1, INT64_MAX));
        call.effect = fields.text("effect");
        call.with = fields.object("with", Json::object());
        call.timeout = Milliseconds(fields.integer("timeoutMs", 1, INT64_MAX, kDefaultTimeout.count()));
        call.timeout = std::min(call.timeout, kMaxTimeout);
        if (call.effect.size() > 64) fields.mistake("effect", "is too long");
        out.call = std::move(call);
    }
    if (auto ok = fields.done(); !ok) return fail(ok.error());
    return out;
}

std::string result_text(std::uint64_t id, const Json& result, std::size_t masked)
{
    return dump_json(with_count(Json::object({{"id", id}, {"result", result}}), masked));
}

std::string error_text(std::uint64_t id, const EffectError& error, std::size_t masked)
{
    return dump_json(with_count(Json::object({{"id", id},
                                              {"error", Json::object({{"type", error.type},
                                                                      {"status", error.status},
                                                                      {"title", error.title},
                                                                      {"detail", error.detail}})}}),
                                masked));
}

std::string note_text(std::string_view what) { return dump_json(Json::object({{"note", what}})); }

std::string reset_text() { return dump_json(Json::object({{"reset", true}})); }

}  // namespace mill::broker
