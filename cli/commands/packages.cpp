#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/listing.h"
#include "cli/publishing.h"
#include "cli/signing.h"
#include "platform/files.h"
#include "platform/fingerprint.h"

namespace mill::cli {

namespace {

std::vector<std::string> row(const Json& item, WallTime now)
{
    return {item["name"].as_string(), item["version"].as_string(), item["state"].as_string(), show_bytes(static_cast<std::uint64_t>(item["size"].as_integer())),
            show_age(item["createdAt"].as_string(), now), signers_text(item["signatures"]), item["digest"].as_string()};
}

Result<int> run(Context& context, const Arguments& arguments)
{
    return show_listing(context, {.path = arguments.has("NAME") ? join_path("/v1/packages", arguments.text("NAME")) : "/v1/packages",
                                  .headings = {"PACKAGE", "VERSION", "STATE", "SIZE", "PUBLISHED", "SIGNED BY", "DIGEST"},
                                  .row = row,
                                  .none = "no packages; `millwright publish FILE.mwp` sends one"});
}

/// NAME@VERSION in two; nothing when it is none.
std::optional<std::pair<std::string, std::string>> name_and_version(const std::string& text)
{
    const std::size_t at = text.find('@');
    if (at == std::string::npos || at == 0 || at + 1 == text.size()) return std::nullopt;
    return std::pair(text.substr(0, at), text.substr(at + 1));
}

constexpr std::string_view kNamed = "PACKAGE is NAME@VERSION, such as order-status@1.2.0";

Result<int> run_sign(Context& context, const Arguments& arguments)
{
    const auto named = name_and_version(arguments.text("PACKAGE"));
    if (!named) return context.usage(kNamed);
    const Result<KeyFile> key = read_key_file(arguments.text("--key"));
    if (!key) return fail(key.error());
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    // What is signed are the bytes, not what the factory says of them.
    const Result<std::string> bytes = fetch_package(**api, named->first, named->second);
    if (!bytes) return fail(bytes.error());
    const Result<Signable> package = signable(*bytes);
    if (!package) return fail(package.error());
    if (package->name != named->first || package->version != named->second)
        return fail(Errc::denied, fmt::format("the factory gives {} {} for {}", package->name, package->version, arguments.text("PACKAGE")));
    auto signature = sign(*package, key->key);
    if (!signature) return fail(signature.error());
    const Result<Json> done = send_signatures(**api, file_of(*package, {std::move(*signature)}));
    if (!done) return fail(done.error());
    if (context.console.json()) context.console.document(*done);
    else context.console.line(one_line(fmt::format("{} {} {} is signed by {}", package->name, package->version, package->digest, signers_text((*done)["signatures"]))));
    return kDone;
}

Result<int> run_verify(Context& context, const Arguments& arguments)
{
    const std::string what = arguments.text("PACKAGE");
    std::vector<std::string> keys;
    for (const std::string& text : arguments.texts("--key")) {
        auto key = public_key_in(text);
        if (!key) return context.usage("--key: " + key.error().what);
        keys.push_back(std::move(*key));
    }
    Result<Signable> package = fail(Errc::internal, "");
    std::vector<protocol::PackageSignature> signatures;
    if (what.ends_with(".mwp")) {
        const Result<std::string> bytes = platform::read_file(what, 256 * 1024 * 1024);
        if (!bytes) return context.usage(fmt::format("{}: {}", printable(what), bytes.error().what));
        package = signable(*bytes);
        if (!package) return fail(package.error());
        auto file = arguments.has("--signature") ? read_signatures(arguments.text("--signature"), *package) : read_signatures(what + ".sig", *package);
        if (!file && file.error().code != Errc::not_found) return fail(file.error());
        if (file) signatures = std::move(file->signatures);
    } else {
        const auto named = name_and_version(what);
        if (!named) return context.usage(fmt::format("{}, or a FILE.mwp", kNamed));
        Result<Api*> api = context.api();
        if (!api) return fail(api.error());
        const Result<std::string> bytes = fetch_package(**api, named->first, named->second);
        if (!bytes) return fail(bytes.error());
        package = signable(*bytes);
        if (!package) return fail(package.error());
        if (package->name != named->first || package->version != named->second) return fail(Errc::denied, fmt::format("the factory gives {} {} for {}", package->name, package->version, what));
        const Result<Json> shown = (*api)->get(join_path("/v1/packages", named->first, join_path("", named->second)));
        if (!shown) return fail(shown.error());
        Json list = Json::array();
        for (const Json& each : (*shown)["signatures"].as_array()) list.push(Json::object({{"key", each["key"]}, {"manifest", each["manifest"]}, {"signature", each["signature"]}}));
        auto read = protocol::parse_signatures(list, "signatures");
        if (!read) return fail(read.error());
        signatures = std::move(*read);
    }
    Json verified = Json::array();
    for (const std::string& key : keys) {
        const auto found = std::find_if(signatures.begin(), signatures.end(), [&](const auto& each) { return each.key == key; });
        const std::string print = platform::fingerprint(key);
        if (found == signatures.end()) return fail(Errc::denied, fmt::format("{} {} is not signed with the key {}; {} other signatures", package->name, package->version, print, signatures.size()));
        if (found->manifest != package->manifest || !platform::verify(key, protocol::package_statement(package->name, package->version, package->digest, package->manifest), found->bytes))
            return fail(Errc::denied, fmt::format("{} {}: the signature with the key {} does not fit its bytes ({})", package->name, package->version, print, package->digest));
        verified.push(print);
    }
    if (context.console.json())
        context.console.document(Json::object({{"name", package->name}, {"version", package->version}, {"digest", package->digest}, {"manifest", package->manifest}, {"verified", verified}}));
    else
        for (const Json& print : verified.as_array())
            context.console.line(one_line(fmt::format("{} {} {} is signed with {}", package->name, package->version, package->digest, print.as_string())));
    return kDone;
}

Result<int> set_state(Context& context, const Arguments& arguments, std::string_view state)
{
    const std::string what = arguments.text("PACKAGE");
    const std::size_t at = what.find('@');
    if (at == std::string::npos || at == 0 || at + 1 == what.size()) return context.usage(fmt::format("PACKAGE is NAME@VERSION, such as order-status@1.2.0; found '{}'", printable(what)));
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object({{"state", state}});
    if (arguments.has("--reason")) body.set("reason", arguments.text("--reason"));
    const Result<Json> package = (*api)->put(join_path("/v1/packages", what.substr(0, at), join_path("", what.substr(at + 1), "/state")), body);
    if (!package) return fail(package.error());
    if (context.console.json()) context.console.document(*package);
    else context.console.line(one_line(fmt::format("{} is {}", what, (*package)["state"].as_string())));
    return kDone;
}

Result<int> release(Context& context, const Arguments& arguments) { return set_state(context, arguments, "released"); }
Result<int> deprecate(Context& context, const Arguments& arguments) { return set_state(context, arguments, "deprecated"); }
Result<int> decommission(Context& context, const Arguments& arguments) { return set_state(context, arguments, "decommissioned"); }

std::vector<Option> state_options() { return {{"PACKAGE", "", "NAME@VERSION", true}, {"--reason", "TEXT", "Shown to whoever is kept from using it"}}; }

}  // namespace

Command packages_command()
{
    return {.name = "packages",
            .summary = "List published packages; `packages release`, `deprecate` and `decommission` say what a version is for",
            .examples = "millwright packages\nmillwright packages order-status",
            .options = {{"NAME", "", "Only the versions of this one"}},
            .run = run};
}

Command packages_sign_command()
{
    return {.name = "packages sign",
            .summary = "Add a publisher's signature to a published version, whose bytes are fetched and looked at first",
            .examples = "millwright packages sign order-status@1.2.0 --key acme.key",
            .options = {{"PACKAGE", "", "NAME@VERSION", true}, reads_file({"--key", "FILE", "The publisher's (millwright keys new)", true})},
            .run = run_sign};
}

Command packages_verify_command()
{
    return {.name = "packages verify",
            .summary = "Hold a package's bytes against a publisher's signature; 77 when it does not fit or is not there",
            .examples = "millwright packages verify order-status@1.2.0 --key ed25519:…\nmillwright packages verify order-status-1.2.0.mwp --key acme.pub",
            .options = {{"PACKAGE", "", "NAME@VERSION at the factory, or a FILE.mwp (with FILE.mwp.sig)", true},
                        {"--key", "KEY", "ed25519:… or a file with it; of several each must have signed", true, true},
                        reads_file({"--signature", "FILE", "Instead of FILE.mwp.sig"})},
            .run = run_verify};
}

Command packages_release_command()
{
    return {.name = "packages release",
            .summary = "Let a draft be deployed anywhere, or take a deprecation back",
            .examples = "millwright packages release order-status@1.2.0",
            .options = state_options(),
            .run = release};
}

Command packages_deprecate_command()
{
    return {.name = "packages deprecate",
            .summary = "Warn whoever deploys this version; what runs of it goes on",
            .examples = "millwright packages deprecate order-status@1.2.0 --reason 'use 1.3'",
            .options = state_options(),
            .run = deprecate};
}

Command packages_decommission_command()
{
    return {.name = "packages decommission",
            .summary = "No more jobs of this version, for good; those that wait do not start, those that run go on",
            .examples = "millwright packages decommission order-status@1.1.0 --reason 'orders twice'",
            .options = state_options(),
            .run = decommission};
}

}  // namespace mill::cli
