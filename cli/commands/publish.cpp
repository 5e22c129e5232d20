#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/publishing.h"
#include "cli/signing.h"

namespace mill::cli {

namespace {

/// What goes with the package: --signature, else what lies beside a .mwp; and one by --sign. Nothing when nobody signed it.
Result<std::optional<protocol::SignatureFile>> signatures_for(const std::string& path, const std::string& bytes, const std::optional<KeyFile>& key, const std::string& given)
{
    if (!key && given.empty() && !path.ends_with(".mwp")) return std::optional<protocol::SignatureFile>();
    const Result<Signable> package = signable(bytes);
    if (!package) return fail(package.error());
    std::optional<protocol::SignatureFile> out;
    if (!given.empty()) {
        auto file = read_signatures(given, *package);
        if (!file) return fail(file.error());
        out = std::move(*file);
    } else if (path.ends_with(".mwp")) {
        auto file = signatures_beside(path, *package);
        if (!file) return file;
        out = std::move(*file);
    }
    if (!key) return out;
    auto signature = sign(*package, key->key);
    if (!signature) return fail(signature.error());
    if (!out) out = file_of(*package, {});
    std::erase_if(out->signatures, [&](const auto& other) { return other.key == signature->key; });
    out->signatures.push_back(std::move(*signature));
    return out;
}

Result<int> run(Context& context, const Arguments& arguments)
{
    if (arguments.has("--signature") && arguments.texts("FILE").size() != 1) return context.usage("--signature goes with one FILE");
    std::optional<KeyFile> key;
    if (arguments.has("--sign")) {
        Result<KeyFile> read = read_key_file(arguments.text("--sign"));
        if (!read) return fail(read.error());
        key = std::move(*read);
    }
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Console& console = context.console;
    Json all = Json::array();
    for (const std::string& path : arguments.texts("FILE")) {
        const Result<std::string> bytes = package_bytes(path);
        if (!bytes) return fail(bytes.error());
        for (const std::string& warning : secret_warnings(path)) console.note(warning);
        const auto signatures = signatures_for(path, *bytes, key, arguments.text("--signature"));
        if (!signatures) return fail(signatures.error());
        const Result<Published> published = publish(**api, *bytes, arguments.has("--draft"));
        if (!published) return fail(published.error());
        Json package = published->package;
        if (*signatures) {
            Result<Json> with = send_signatures(**api, **signatures);
            if (!with) return fail(fmt::format("{} {} is published, its signature is not: say `publish` again", package["name"].as_string(), package["version"].as_string()), with.error());
            package = std::move(*with);
        }
        if (console.json()) all.push(package);
        else
            console.line(fmt::format("{} {} {} {}{}", published->existed ? "is there already:" : "published", package["name"].as_string(),
                                     package["version"].as_string(), package["digest"].as_string(),
                                     (package.contains("state") && package["state"].as_string() != "released" ? ", " + package["state"].as_string() : "") +
                                         (package.contains("signatures") ? ", signed by " + signers_text(package["signatures"]) : "")));
    }
    if (console.json()) console.document(all);
    return kDone;
}

}  // namespace

Command publish_command()
{
    return {.name = "publish",
            .summary = "Send packages to the factory; a version never changes once it is there",
            .examples = "millwright publish order-status-1.2.0.mwp\nmillwright publish order-status/ --sign acme.key",
            .options = {reads_path({"FILE", "", ".mwp files, or folders that are packed first", true, true}), reads_file({"--sign", "FILE", "Sign them with this publisher's key (millwright keys new)"}),
                        reads_file({"--signature", "FILE", "Their signatures; else FILE.mwp.sig beside a .mwp, when there is one"}), {"--draft", "", "As a draft: only deployments that say `allowDraft: true` take it, until `packages release`"}},
            .run = run};
}

}  // namespace mill::cli
