#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/signing.h"
#include "platform/files.h"
#include "platform/fingerprint.h"

namespace mill::cli {

namespace {

bool is_publisher_name(std::string_view name)
{
    const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (name.empty() || name.size() > 100 || !plain(name.front()) || !plain(name.back())) return false;
    for (const char c : name)
        if (!plain(c) && c != '-' && c != '_' && c != '.') return false;
    return true;
}

/// The public half, as it is written where it is trusted.
void show_key(Console& console, const KeyFile& file, const std::string& path)
{
    const std::string key = protocol::key_text(file.key.public_key), print = platform::fingerprint(file.key.public_key);
    if (console.json()) return console.document(Json::object({{"name", file.name}, {"publicKey", key}, {"fingerprint", print}, {"file", path}}));
    console.line(key);
    console.note(one_line(fmt::format("publisher {}, fingerprint {}", file.name, print)));
    console.note(one_line(fmt::format("at the factory (apply):   {{ kind: Publisher, name: {}, keys: [ \"{}\" ] }}", file.name, key)));
    console.note(one_line(fmt::format("in an agent's policy.yaml: publishers: {{ {}: \"{}\" }}", file.name, key)));
}

Result<int> run_new(Context& context, const Arguments& arguments)
{
    KeyFile file{arguments.text("NAME"), platform::make_signing_key()};
    if (!is_publisher_name(file.name)) return context.usage("NAME is a publisher's: lower-case letters, digits, '-', '_' or '.', at most 100, beginning and ending with a letter or digit");
    const std::string path = arguments.text("--out");
    // A key that is lost is lost: none is written over.
    if (platform::exists(path)) return context.usage(fmt::format("--out: {} is there already", printable(path)));
    if (Status written = platform::write_file(path, key_file_text(file), 0600); !written) return fail(Errc::unavailable, fmt::format("{}: {}", path, written.error().what));
    show_key(context.console, file, path);
    return kDone;
}

Result<int> run_show(Context& context, const Arguments& arguments)
{
    if (!arguments.has("FILE")) return context.usage("say which FILE, as `keys new` wrote it; `millwright keys new NAME --out FILE` makes one");
    const Result<KeyFile> file = read_key_file(arguments.text("FILE"));
    if (!file) return fail(file.error());
    show_key(context.console, *file, arguments.text("FILE"));
    return kDone;
}

Result<int> run_sign(Context& context, const Arguments& arguments)
{
    const std::string path = arguments.text("FILE");
    if (!path.ends_with(".mwp")) return context.usage("FILE is a .mwp (millwright pack FOLDER makes one): what is signed are its bytes");
    const Result<KeyFile> key = read_key_file(arguments.text("--key"));
    if (!key) return fail(key.error());
    const Result<std::string> bytes = platform::read_file(path, 256 * 1024 * 1024);
    if (!bytes) return fail(path, bytes.error());
    const Result<Signable> package = signable(*bytes);
    if (!package) return fail(package.error());
    auto known = signatures_beside(path, *package);
    if (!known && known.error().code == Errc::conflict) {   // it was packed anew since
        context.console.note(one_line(fmt::format("{}.sig was of other bytes, and is replaced", path)));
        known = std::optional<protocol::SignatureFile>();
    }
    if (!known) return fail(known.error());
    auto signature = sign(*package, key->key);
    if (!signature) return fail(signature.error());
    protocol::SignatureFile file = *known ? std::move(**known) : file_of(*package, {});
    std::erase_if(file.signatures, [&](const auto& other) { return other.key == signature->key; });
    if (file.signatures.size() >= protocol::kMostSignatures) return fail(Errc::conflict, fmt::format("{}.sig has {} signatures already", path, file.signatures.size()));
    file.signatures.push_back(std::move(*signature));
    const std::string out = path + ".sig";
    if (Status written = platform::write_file(out, dump_json(protocol::to_json(file), 2) + "\n"); !written) return fail(Errc::unavailable, fmt::format("{}: {}", out, written.error().what));
    Console& console = context.console;
    if (console.json()) console.document(Json::object({{"file", out}}).set("package", protocol::to_json(file)["package"]).set("signatures", protocol::to_json(file)["signatures"]));
    else console.line(one_line(fmt::format("{}  {} {}  {}  signed by {} ({})", out, package->name, package->version, package->digest, key->name, platform::fingerprint(key->key.public_key))));
    return kDone;
}

}  // namespace

Command keys_new_command()
{
    return {.name = "keys new",
            .summary = "Make a publisher's key: the private half into a file of mode 600, never shown; the public half is printed",
            .examples = "millwright keys new acme --out acme.key",
            .options = {{"NAME", "", "Of the publisher", true}, {"--out", "FILE", "Made anew; keep it where only who signs can read it", true}},
            .run = run_new};
}

Command keys_command()
{
    return {.name = "keys",
            .summary = "Print the public half of a publisher's key, and the lines that trust it; `keys new` makes one",
            .examples = "millwright keys acme.key",
            .options = {reads_file({"FILE", "", "As `keys new` wrote it"})},
            .run = run_show};
}

Command sign_command()
{
    return {.name = "sign",
            .summary = "Sign a package with a publisher's key; the signature lies beside it as FILE.mwp.sig, its bytes stay as they are",
            .examples = "millwright sign order-status-1.2.0.mwp --key acme.key\nmillwright publish order-status-1.2.0.mwp",
            .options = {reads_file({"FILE", "", "A .mwp", true}), reads_file({"--key", "FILE", "The publisher's (millwright keys new)", true})},
            .run = run_sign};
}

}  // namespace mill::cli
