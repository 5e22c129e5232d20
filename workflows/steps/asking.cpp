// ask.user and approve: the task waits, and with it the run when nothing else goes on.
#include <fmt/format.h>

#include "workflows/activities/registry.h"
#include "workflows/engine.h"

namespace mill::workflows {

Outcome Engine::ask_people(Branch& branch, Frame& frame, const Activity& activity, Json with)
{
    Result<Json> prepared = activity.prepare(with);
    if (!prepared) return Outcome::failed(make_fault(ErrorType::validation, fmt::format("the arguments of '{}' are wrong: {}", activity.name, prepared.error().what), place(branch)));
    frame.request = *prepared;
    Outcome out = ask(branch, frame, activity.effect, Json::object({{"arguments", std::move(with)}, {"question", std::move(*prepared)}}));
    if (out.kind != Outcome::Kind::pending) return out;
    frame.asking = true;
    if (options_.own_deadlines) frame.wake = now_ + Milliseconds(frame.request["withinMs"].as_integer());
    changed(branch, frame, "waiting");
    frame.whole = branches_.size() == 1;
    if (frame.whole) workflow_changed(branch, branch.scopes.back(), "suspended", Json::object({{"suspendedAt", format_time(wall_)}}));
    return out;
}

/// The effect's result is {state, answer, by, comment, at, why}; state: answered, expired, withdrawn.
Outcome Engine::answered(Branch& branch, Frame& frame)
{
    frame.asking = false;
    frame.wake.reset();
    if (frame.whole) workflow_changed(branch, branch.scopes.back(), "resumed", Json::object({{"resumedAt", format_time(wall_)}}));
    changed(branch, frame, "resumed");
    const Json asked = std::exchange(frame.request, {}), said = frame.answer.json();
    const bool expired = said["state"].as_string() == "expired";
    if (expired && !asked.contains("otherwise"))
        return Outcome::failed(make_fault(ErrorType::timeout, fmt::format("nobody answered within {}: {}", format_duration(Milliseconds(asked["withinMs"].as_integer())), asked["text"].as_string()), place(branch)));
    if (!expired && said["state"].as_string() != "answered")
        return Outcome::failed(make_fault(ErrorType::runtime, fmt::format("the question was withdrawn: {}", said["why"].as_string()), place(branch)));
    const Json& answer = expired ? asked["otherwise"] : said["answer"];
    if (asked["kind"].as_string() != "approve") return Outcome::done(Value(answer));
    return Outcome::done(Value(Json::object({{"approved", answer.as_bool()}, {"by", expired ? Json("deadline") : said["by"]},
                                             {"comment", said["comment"].is_string() ? said["comment"] : Json("")}, {"at", said["at"].is_string() ? said["at"] : Json(format_time(wall_))}})));
}

bool Engine::waits_for_people() const
{
    if (effects_.empty() || pause_ || more_) return false;
    bool any = false;
    for (const auto& [id, each] : branches_) {
        if (each->done) continue;
        if (each->ready || each->stack.empty()) return false;
        const Frame& top = each->stack.back();
        if (!top.children.empty()) continue;
        if (!top.asking || top.effect == 0) return false;
        any = true;
    }
    return any;
}

}  // namespace mill::workflows
