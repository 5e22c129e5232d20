// What lies beside a package or comes with an offer: any text. What is taken is written and read back as the same, and fits nothing that nobody signed.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "platform/crypto.h"
#include "protocol/signature.h"
#include "protocol/signing_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace mill;
    using namespace mill::protocol;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto key = parse_key(text)) check(key_text(*key) == text, "a key has two spellings");
    if (const auto json = parse_json(text)) {
        const SigningRules rules = read_signing_rules(*json);
        check(to_json(read_signing_rules(to_json(rules))) == to_json(rules), "rules changed");
        (void)judge_signatures(rules, "orders", "1.0.0", {{"SHA256:a"}}, "policy.yaml");
        (void)parse_signatures(*json, "offer", true);
    }
    const auto file = parse_signature_file(text, "fuzz.sig");
    if (!file) return 0;
    check(!file->signatures.empty() && file->signatures.size() <= kMostSignatures, "a file has one to sixteen signatures");
    const auto again = parse_signature_file(std::string_view(dump_json(to_json(*file))), "fuzz.sig");
    check(again && to_json(*again) == to_json(*file), "a signature file changed");
    for (const PackageSignature& each : file->signatures)
        (void)platform::verify(each.key, package_statement(file->name, file->version, file->digest, each.manifest), each.bytes);   // any key, any signature
    return 0;
}
