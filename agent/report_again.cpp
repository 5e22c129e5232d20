#include "agent/report_again.h"

#include "platform/base/log.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::chrono::seconds kAnswer{30};
constexpr std::size_t kBodyBytes = 1024 * 1024;  // an attempt with a large output goes alone

}  // namespace

Status report_again(Journal& journal, FactoryClient& factory, const std::string& token, std::stop_token stop, Refusal& refusal)
{
    std::size_t count = 0;
    protocol::AttemptId at;
    std::string list;
    for (bool more = true; more;) {
        auto said = journal.said_after(at);
        if (!said) return fail(std::move(said.error()));
        more = said->has_value();
        std::string item;
        if (more) {
            at = (*said)->id;
            if ((*said)->offer.empty()) continue;  // lost to damage: it cannot be told what it was
            if (journal.is_withheld(at)) continue;  // never said yet
            item = dump_json(to_json(at));
            item.pop_back();
            item += R"(,"offer":)" + (*said)->offer + R"(,"events":[)";
            for (std::size_t i = 0; i < (*said)->events.size(); ++i) item += (i > 0 ? "," : "") + (*said)->events[i];
            item += "]}";
            ++count;
        }
        if (more && (list.empty() || list.size() + item.size() <= kBodyBytes)) {
            list += (list.empty() ? "" : ",") + item;
            continue;
        }
        const std::string body = R"({"attempts":[)" + list + R"(],"againDone":)" + (more ? "false}" : "true}");
        auto answer = factory.post_as(token, protocol::route::kEvents, body, kAnswer, stop, &refusal);
        if (!answer) return fail("saying again what was acknowledged", std::move(answer.error()));
        for (const Json& one : (*answer)["attempts"].as_array())
            if (auto id = protocol::parse_attempt_id(one); id && one["acknowledged"].as_integer() > 0)
                if (auto done = journal.acknowledge(*id, static_cast<std::uint64_t>(one["acknowledged"].as_integer())); !done) return done;
        list = std::move(item);
    }
    log::warning("link", "the factory's store is an older one: it was told again of {} attempts", count);
    return {};
}

}  // namespace mill::agent
