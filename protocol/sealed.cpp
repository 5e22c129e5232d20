#include "protocol/sealed.h"

#include <fmt/format.h>

#include "platform/base/encode.h"

namespace mill::protocol {
namespace {

constexpr JsonLimits kBoxedMost{.bytes = 8 * 1024 * 1024, .depth = 32};

}  // namespace

std::string sealed_context(std::string_view agent_id, const AttemptId& attempt)
{
    return fmt::format("{}:{}", agent_id, attempt.key());
}

std::string sealing_request(const AttemptId& attempt, std::string_view broker_key)
{
    return fmt::format("millwright-credentials:{}:{}", attempt.key(), to_base64(broker_key));
}

std::string boxed_text(const Boxed& boxed)
{
    return dump_json(Json::object({{"credentials", boxed.credentials}, {"machine", boxed.machine}}));
}

Result<Boxed> read_boxed(std::string_view text)
{
    // What is wrong with it is not said in its own words: they may be a secret.
    auto json = parse_json(text, kBoxedMost);
    Boxed out;
    for (const auto& [member, into] : {std::pair("credentials", &out.credentials), std::pair("machine", &out.machine)}) {
        const Json* found = json ? json->find(member) : nullptr;
        if (found == nullptr || !found->is_object()) return fail(Errc::corrupt, "what the factory sealed holds no credentials");
        for (const auto& [name, members] : found->as_object())
            if (!members.is_object()) return fail(Errc::corrupt, fmt::format("what the factory sealed for '{}' is no credential", name.substr(0, 100)));
        *into = *found;
    }
    return out;
}

}  // namespace mill::protocol
