#include "agent/runner/asking.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "platform/base/ids.h"
#include "platform/base/units.h"
#include "protocol/asks.h"
#include "workflows/schema.h"

namespace mill::runner {
namespace {

constexpr std::string_view kHandleMark = "\xEE\x80\x80";

std::vector<std::string> mistakes_of(const Json& schema, const Json& answer)
{
    const auto compiled = workflows::compile_schema(schema);
    return compiled ? (*compiled)->mistakes(answer) : std::vector<std::string>{compiled.error().what};
}

Json words_of_ask(const workflows::EffectRequest& request, WallTime now)
{
    const Json& question = request.with["question"];
    Json out = Json::object({{"question", new_uid()}, {"kind", question["kind"]}, {"text", question["text"]}, {"schema", question["schema"]}, {"by", question["by"]},
                             {"withinMs", question["withinMs"]}, {"askedAt", format_time(now)}, {"task", request.task}});
    if (const Json* otherwise = question.find("otherwise")) out.set("atDeadline", Json::object({{"answer", *otherwise}}));
    return out;
}

}  // namespace

Outcome<Json> answer_of_stand_in(const Json& question, const Json& value)
{
    const bool approval = question["kind"].as_string() == "approve" && value.is_object();
    const Json answer = approval ? value["approved"] : value;
    if (const auto wrong = mistakes_of(question["schema"], answer); !wrong.empty())
        return tl::unexpected(fault("validation", 400, "No answer", fmt::format("what the stand-in says is no answer to '{}': {}", question["text"].as_string(), fmt::join(wrong, "; "))));
    return Json::object({{"state", "answered"}, {"answer", answer}, {"by", approval && value.contains("by") ? value["by"] : Json("stand-in")},
                         {"comment", approval ? value["comment"] : Json()}, {"at", approval ? value["at"] : Json()}});
}

void Asking::start(const workflows::EffectRequest& request, WallTime now)
{
    const auto refuse = [&](const char* type, int status, std::string why) { answers_.push_back({request.id, tl::unexpected(fault(type, status, "Nobody is asked", std::move(why)))}); };
    const Json said = words_of_ask(request, now);
    if (dump_json(said).find(kHandleMark) != std::string::npos) return refuse("authorization", 403, fmt::format("{} takes no secret", request.call));
    if (whom_ == "nobody") return refuse("configuration", 400, fmt::format("{} asks a person, and nobody can be asked here: run it at a terminal, or as a job", request.call));
    if (whom_.empty()) return refuse("configuration", 400, fmt::format("{} asks a person, which the agent here does not know: upgrade millwright-agent", request.call));
    if (open_.size() >= protocol::kMostAsked) return refuse("runtime", 500, fmt::format("{} questions are open already", open_.size()));
    if (asks_ >= protocol::kMostAsks) return refuse("runtime", 500, fmt::format("this run has asked {} questions already", asks_));
    const Json message = Json::object({{"ask", said}});
    if (const std::size_t size = dump_json(message).size(); size > protocol::kMaxAskBytes)
        return refuse("validation", 400, fmt::format("the question has {} with its schema and `otherwise`, at most {} are asked", format_bytes(ByteCount{size}), format_bytes(ByteCount{protocol::kMaxAskBytes})));
    ++asks_;
    open_.emplace(request.id, said);
    send_(message);
}

void Asking::cancel(std::uint64_t effect, std::string_view why)
{
    const auto found = open_.find(effect);
    if (found == open_.end()) return;
    send_(Json::object({{"unask", Json::object({{"question", found->second["question"]}, {"why", why}})}}));
    open_.erase(found);
    std::erase_if(answers_, [&](const Effects::Answer& each) { return each.id == effect; });
}

bool Asking::hear(const Json& answered)
{
    const auto found = std::find_if(open_.begin(), open_.end(), [&](const auto& each) { return each.second["question"] == answered["question"]; });
    if (found == open_.end()) return false;  // said before, or not wanted any more
    const std::string& state = answered["state"].as_string();
    if (state == "failed") {
        answers_.push_back({found->first, tl::unexpected(fault("configuration", 400, "Nobody is asked", answered["why"].as_string()))});
    } else {
        if (state == "answered") {
            const auto wrong = mistakes_of(found->second["schema"], answered["answer"]);
            if (!wrong.empty() && at_terminal()) {
                Json list = Json::array();
                for (const std::string& each : wrong) list.push(each);
                Json again = found->second;
                send_(Json::object({{"ask", again.set("mistakes", std::move(list))}}));
                return false;
            }
        }
        answers_.push_back({found->first, from_outside(answered)});
    }
    open_.erase(found);
    return true;
}

void Asking::say_again()
{
    for (const auto& [effect, said] : open_) send_(Json::object({{"ask", said}}));
}

Json Asking::saved() const
{
    Json out = Json::array();
    for (const auto& [effect, said] : open_) out.push(Json::object({{"effect", effect}, {"ask", said}}));
    return out;
}

Status Asking::restore(const Json& saved)
{
    for (const Json& each : saved.as_array()) {
        if (!each["ask"]["question"].is_string()) return fail(Errc::corrupt, "a question without a name");
        open_.emplace(static_cast<std::uint64_t>(each["effect"].as_integer()), each["ask"]);
    }
    say_again();
    return {};
}

}  // namespace mill::runner
