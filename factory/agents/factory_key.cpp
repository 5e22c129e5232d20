#include "factory/agents/factory_key.h"

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/files.h"

namespace mill::factory {

Result<std::string> FactoryKey::prove(std::string_view challenge) const
{
    return platform::sign(key_.private_key, std::string("millwright-session:").append(challenge));
}

std::string FactoryKey::derive(std::string_view purpose) const
{
    return platform::hmac_sha256(key_.private_key, purpose);
}

Result<FactoryKey> open_factory_key(const std::string& folder)
{
    const std::string path = folder + "/factory-key";
    if (!platform::exists(path)) {
        const auto made = platform::make_signing_key();
        if (auto written = platform::write_file(path, to_hex(made.private_key) + " " + to_hex(made.public_key) + "\n", 0600); !written)
            return fail("the factory's key", written.error());
    }
    const auto text = platform::read_secret_file(path, 4096);
    if (!text) return fail("the factory's key", text.error());
    const auto private_key = from_hex(text->substr(0, 64));
    const auto public_key = from_hex(text->size() >= 129 ? text->substr(65, 64) : std::string());
    if (!private_key || !public_key || private_key->size() != 32 || public_key->size() != 32)
        return fail(Errc::corrupt, fmt::format("{}: expected the two halves of an Ed25519 key, 64 hexadecimal digits each", path));
    return FactoryKey({*private_key, *public_key});
}

}  // namespace mill::factory
