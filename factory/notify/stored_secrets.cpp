#include <fmt/format.h>

#include "factory/notify/worker.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"

namespace mill::factory {
namespace {

/// A name that no credential has yet.
std::string free_name(Reader& reader, const std::string& notifier)
{
    const std::string stem = notifier.substr(0, 80) + "-signing";
    std::string name = stem;
    for (int i = 2; reader.credential(name); ++i) name = fmt::format("{}-{}", stem, i);
    return name;
}

}  // namespace

Status move_stored_secrets(Core& core, const std::function<std::string(const std::string& name, const Json& values)>& seal)
{
    const Who self{"factory", ""};
    const auto notifiers = core.reader()->documents("Notifier");
    if (!notifiers) return fail(notifiers.error());
    for (const Document& notifier : *notifiers) {
        for (const auto& [header, value] : notifier.spec["api"]["headers"].as_object())
            if (is_secret_header(header))
                log::warning("notify", "notifier '{}' has the header '{}' in its document, where readers see it: make it a credential (millwright credentials set NAME --kind header) "
                                       "and apply the notifier again", notifier.name, header);
        const std::string& secret = notifier.spec["api"]["secret"].as_string();
        // A credential that a notifier names cannot be deleted: what names none is a secret.
        if (secret.empty() || core.reader()->credential(secret)) continue;
        const std::string name = free_name(*core.reader(), notifier.name);
        const Json about = Json::object({{"kind", "hmac"}, {"hosts", Json::array()}, {"environment", ""}, {"members", Json::array({"secret"})}});
        const std::string sealed = seal(name, Json::object({{"secret", secret}}));
        if (auto stored = await<CredentialRecord>([&](auto done) { core.put_credential(name, about, sealed, self, std::move(done)); }); !stored) return fail(stored.error());
        Json spec = notifier.spec, api = spec["api"];
        spec.set("api", api.set("secret", Json(name)));
        if (auto stored = await<Document>([&](auto done) { core.put_document("Notifier", notifier.name, spec, notifier.generation, self, std::move(done)); }); !stored)
            return fail(stored.error());
        log::info("notify", "the signing secret of notifier '{}' is now credential '{}'; the document names it", notifier.name, name);
    }
    return {};
}

}  // namespace mill::factory
