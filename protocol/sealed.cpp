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

std::string boxed_text(const Json& credentials)
{
    return dump_json(Json::object({{"credentials", credentials}}));
}

Result<Json> read_boxed(std::string_view text)
{
    // What is wrong with it is not said in its own words: they may be a secret.
    auto json = parse_json(text, kBoxedMost);
    const Json* credentials = json ? json->find("credentials") : nullptr;
    if (credentials == nullptr || !credentials->is_object()) return fail(Errc::corrupt, "what the factory sealed holds no credentials");
    for (const auto& [name, members] : credentials->as_object())
        if (!members.is_object()) return fail(Errc::corrupt, fmt::format("what the factory sealed for '{}' is no credential", name.substr(0, 100)));
    return *credentials;
}

}  // namespace mill::protocol
