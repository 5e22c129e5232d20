#include "factory/resources/vault.h"

#include <filesystem>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/redact.h"
#include "platform/crypto.h"
#include "platform/files.h"

namespace mill::factory {
namespace {

std::string context(std::string_view name)
{
    return fmt::format("millwright-credential:{}", name);
}

}  // namespace

std::string Vault::seal(std::string_view name, const Json& values) const
{
    return platform::seal(key_, dump_json(values), context(name));
}

Result<Json> Vault::open(const CredentialRecord& record) const
{
    auto plain = platform::open_sealed(key_, record.sealed, context(record.name));
    if (!plain)
        return fail(Errc::corrupt, fmt::format("credential '{}' does not open: it is damaged or was sealed with another key", record.name));
    auto values = parse_json(*plain);
    if (!values) return fail(Errc::corrupt, fmt::format("credential '{}' is damaged", record.name));
    for (const auto& [name, value] : values->as_object())
        if (is_secret_member(record.about["kind"].as_string(), name)) redact_in_log(value.as_string(), record.name, name);
    return values;
}

Result<Vault> open_vault(const std::string& key_file)
{
    if (!platform::exists(key_file)) {
        if (auto made = platform::write_file(key_file, to_hex(random_bytes(32)) + "\n", 0600); !made) return fail("key of the credentials", made.error());
    }
    auto text = platform::read_secret_file(key_file, 4096);
    if (!text) return fail("key of the credentials", text.error());
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
    auto key = from_hex(*text);
    if (!key || key->size() != 32)
        return fail(Errc::corrupt, fmt::format("{}: expected 64 hexadecimal digits: the key that credentials are sealed with", key_file));
    redact_in_log(*text);
    return Vault(std::move(*key));
}

std::string default_vault_key_file(std::string_view folder)
{
    std::string path = std::filesystem::absolute(std::filesystem::path(folder)).lexically_normal().string();
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path + ".key";
}

}  // namespace mill::factory
