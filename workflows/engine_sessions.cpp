#include <algorithm>

#include <fmt/format.h>

#include "workflows/engine.h"

namespace mill::workflows {

void Engine::request(std::string effect, Json with, std::string task)
{
    EffectRequest made;
    made.id = next_effect_++;
    made.effect = std::move(effect);
    made.with = std::move(with);
    made.task = std::move(task);
    requests_.push_back(std::move(made));
}

/// Puts the session's id into `with`: a new one, or that of the innermost of its kind (and of the name that `with` says).
std::optional<Fault> Engine::in_session(Branch& branch, Frame& frame, const SessionRole& role, Json& with)
{
    if (role.kind == SessionRole::Kind::none) return std::nullopt;
    const std::string name = with["session"].as_string();
    if (role.kind == SessionRole::Kind::opens) {
        branch.sessions.push_back({role.of, name, fmt::format("{}-{}", role.of, next_session_++), true});
        frame.opening = branch.sessions.size();
        with.set("session", branch.sessions.back().id);
        return std::nullopt;
    }
    std::string others;
    for (Branch* where = &branch; where != nullptr; where = where->parent ? &this->branch(*where->parent) : nullptr) {
        for (auto each = where->sessions.rbegin(); each != where->sessions.rend(); ++each) {
            if (!each->open || each->kind != role.of) continue;
            if (name.empty() || each->name == name) {
                with.set("session", each->id);
                if (role.kind == SessionRole::Kind::closes) each->open = false;
                return std::nullopt;
            }
            if (!each->name.empty()) others += (others.empty() ? "; open: " : ", ") + each->name;
        }
    }
    const std::string wanted = name.empty() ? fmt::format("no {} session is open here", role.of) : fmt::format("no {} session '{}' is open here{}", role.of, name, others);
    return make_fault(ErrorType::configuration, wanted + ": a session ends with the iteration, branch or workflow that opened it", place(branch));
}

/// The latest first. What is being opened is closed, too: whether it opened is not known.
void Engine::close_sessions(Branch& branch, std::size_t down_to)
{
    while (branch.sessions.size() > down_to) {
        const Session last = std::move(branch.sessions.back());
        branch.sessions.pop_back();
        if (last.open) request("session.close", Json::object({{"kind", last.kind}, {"session", last.id}}), {});
    }
}

}  // namespace mill::workflows
