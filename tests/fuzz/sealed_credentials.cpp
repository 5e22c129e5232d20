// What the broker is handed as sealed credentials: any words, any box, a box of its own key with anything in it, any file.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/broker/effects.h"
#include "agent/broker/opening.h"
#include "agent/broker/sealed.h"
#include "platform/base/encode.h"
#include "platform/base/result.h"
#include "protocol/sealed.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace mill;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static const platform::SealingKey key = platform::make_sealing_key();
    constexpr std::string_view kAttempt = "0192-job.1.1";
    static const std::string context = protocol::sealed_context("agent-1", *protocol::AttemptId::from_key(kAttempt));
    const std::string to = to_base64(key.public_key);
    if (const auto words = parse_json(text)) (void)broker::open_box(key, *words, std::string(kAttempt));
    check(!broker::open_box(key, Json::object({{"to", to}, {"agent", "agent-1"}, {"box", to_base64(text)}}), std::string(kAttempt)), "no box is made without sealing it");
    const auto box = platform::seal_to(key.public_key, text, protocol::kSealedInfo, context);
    check(box.has_value(), "what is sealed is a box");
    const auto credentials = broker::open_box(key, Json::object({{"to", to}, {"agent", "agent-1"}, {"box", to_base64(*box)}}), std::string(kAttempt));
    // The same text as the file of a credential that the machine holds.
    const Json item = Json::object({{"name", "erp-prod"}, {"kind", size % 2 == 0 ? "login" : "generic"}, {"hosts", Json::array()}});
    auto opening = broker::Opening::begin("0192-job.1.1", Json::object(), {Json::object(), Json::object({{"erp", item}})}, "");
    check(opening.has_value(), "an attempt can wait for a credential");
    if (opening->take("erp-prod", std::string(text))) check(opening->waits_for().empty() && opening->grants(), "what was taken opens the attempt");
    const auto inside = protocol::read_boxed(text);
    check(credentials.has_value() == inside.has_value(), "a box opens to what was put in");
    if (!credentials) return 0;
    for (const auto& [name, members] : credentials->credentials.as_object()) check(members.is_object(), "a credential has members");
    (void)broker::make_grants(Json::object(), credentials->credentials);
    (void)broker::revealed_texts(Json::object({{"reveal", Json::array({"erp"})}}), credentials->credentials);
    return 0;
}
