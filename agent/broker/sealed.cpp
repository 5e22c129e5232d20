#include "agent/broker/sealed.h"

#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "protocol/secrets.h"

namespace mill::broker {

Result<protocol::Boxed> open_box(const platform::SealingKey& key, const Json& sealed, const std::string& attempt)
{
    Fields fields(sealed, "sealed");
    fields.ignore_unknown();
    const auto to = from_base64(fields.text("to"));
    const auto box = from_base64(fields.text("box"));
    const std::string agent = fields.text("agent");
    if (auto done = fields.done(); !done) return fail(Errc::corrupt, done.error().what);
    const auto id = protocol::AttemptId::from_key(attempt);
    if (!id) return fail(Errc::corrupt, id.error().what);
    if (!to || !box) return fail(Errc::corrupt, "the sealed credentials are no base64");
    if (*to != key.public_key) return fail(Errc::conflict, "the credentials are sealed to the key of another broker");
    auto plain = platform::open_sealed_by(key, *box, protocol::kSealedInfo, protocol::sealed_context(agent, *id));
    if (!plain) return fail(Errc::corrupt, "the sealed credentials do not open: they are damaged, or for another attempt");
    return protocol::read_boxed(*plain);
}

Json revealed_texts(const Json& grants, const Json& credentials)
{
    Json named = Json::object(), out = Json::array();
    for (const Json& name : grants["reveal"].as_array())
        if (const Json* members = credentials.find(name.as_string()); members != nullptr) named.set(name.as_string(), *members);
    protocol::each_secret(named, [&](const std::string&, const std::string&, const std::string& value) { out.push(Json(value)); });
    return out;
}

}  // namespace mill::broker
