#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/credential_words.h"
#include "cli/input.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

std::vector<std::string> row(const Json& item, WallTime now)
{
    const std::string& expires = item["expires"].as_string();
    const std::string holds = item["held"].as_string() == "machine" ? "on the machines" : joined(item["members"]);
    return {item["name"].as_string(), item["kind"].as_string(), hosts_of(item), item["environment"].as_string(), holds,
            expires.empty() ? "" : show_time(expires, now), show_age(item["updatedAt"].as_string(), now)};
}

Result<int> list(Context& context, const Arguments&)
{
    return show_listing(context, {.path = "/v1/credentials",
                                  .headings = {"CREDENTIAL", "KIND", "HOSTS", "ENVIRONMENT", "HOLDS", "EXPIRES", "CHANGED"},
                                  .row = row,
                                  .none = "no credentials; `millwright credentials set NAME --kind KIND --json-file FILE` stores one"});
}

constexpr std::size_t kMostPem = 64 * 1024;

/// The values of kind certificate from the files that openssl and authorities write.
Result<Json> read_certificate(const Arguments& arguments, std::stop_token stop)
{
    Json values = Json::object();
    for (const char* member : {"certificate", "key", "authority"}) {
        const std::string option = fmt::format("--{}", member);
        if (!arguments.has(option)) continue;
        auto text = read_bytes(arguments.text(option), kMostPem, stop);
        if (!text) return fail(option, text.error());
        values.set(member, std::move(*text));
    }
    return values;
}

Result<int> set(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const std::string& file = arguments.text("--json-file");
    const std::string held = arguments.text("--held");
    if (!held.empty() && held != "machine") return fail(Errc::invalid, fmt::format("--held takes 'machine' (the agents' machines have the values), not '{}'", held));
    const bool on_machine = !held.empty();
    const bool in_files = arguments.has("--certificate") || arguments.has("--key") || arguments.has("--authority");
    if (in_files && (on_machine || !file.empty() || arguments.text("--kind") != "certificate"))
        return fail(Errc::invalid, "--certificate, --key and --authority are the values of --kind certificate, in place of --json-file");
    if (!in_files && on_machine != file.empty())
        return fail(Errc::invalid, on_machine ? "--held machine has no --json-file: the values are put on the machines (man millwright-agent, CREDENTIALS)"
                                              : "--json-file FILE is needed: the values as a JSON object, '-' is standard input (or --held machine: agents' machines have them)");
    if (file == "-" && context.console.interactive()) context.console.note("Type the values as one JSON object, then Ctrl-D:");
    Result<Json> values = on_machine ? Result<Json>(Json::object()) : in_files ? read_certificate(arguments, context.stop) : read_object(file, context.stop);
    if (!values && in_files) return fail(values.error());
    if (!values) {
        // The parser's words may repeat what stands in the file.
        return fail(values.error().code, fmt::format("{} does not hold one JSON object of strings", file == "-" ? "standard input" : file));
    }
    Json body = Json::object({{"kind", arguments.text("--kind")}});
    if (on_machine) body.set("held", "machine");
    else body.set("value", *values);
    if (arguments.has("--hosts")) {
        Json hosts = Json::array();
        for (const std::string& host : arguments.texts("--hosts")) hosts.push(host);
        body.set("hosts", hosts);
    }
    if (arguments.has("--environment")) body.set("environment", arguments.text("--environment"));
    if (arguments.has("--expires")) body.set("expires", arguments.text("--expires"));
    const Result<Json> stored = (*api)->put(join_path("/v1/credentials", arguments.text("NAME")), body);
    if (!stored) return fail(stored.error());
    for (const std::string& warning : warnings_of(*stored, *values)) context.console.note(warning);
    if (context.console.json()) context.console.document(*stored);
    else if (on_machine) context.console.line(fmt::format("{0} is stored; each agent's machine holds its values: DATA/credentials/{0}.yaml, or LoadCredential=millwright.{0}", arguments.text("NAME")));
    else context.console.line(fmt::format("{} is stored ({}: {})", arguments.text("NAME"), (*stored)["kind"].as_string(), joined((*stored)["members"])));
    return kDone;
}

}  // namespace

Command credentials_command()
{
    return {.name = "credentials", .summary = "List credentials, without their values; `credentials set` stores one", .examples = "millwright credentials", .options = {}, .run = list};
}

Command credentials_list_command()
{
    return {.name = "credentials list", .summary = "List credentials, without their values", .examples = "millwright credentials list", .options = {}, .run = list};
}

Command credentials_set_command()
{
    return {.name = "credentials set",
            .summary = "Store a credential; its values come from a file or standard input, never from the command line",
            .examples = "millwright credentials set bot-oauth --kind sap-cai --hosts https://api.cai.tools.sap --json-file bot.json\n"
                        "millwright credentials set hook-signing --kind hmac --json-file signing.json\n"
                        "pass show erp | millwright credentials set erp-login --kind login --json-file -\n"
                        "millwright credentials set partner --kind certificate --certificate robot.pem --key robot.key --hosts https://api.example.com\n"
                        "millwright credentials set sap-login --kind login --held machine --hosts https://sap.example.com",
            .options = {{"NAME", "", "The credential", true},
                        {"--kind", "KIND", "sap-cai {tokenUrl, clientId, clientSecret, botToken}, oauth {tokenUrl, clientId, clientSecret, scope?, audience?}, basic or login {username, password}, bearer {token}, header {name, value}, hmac {secret}, webhook {url}, certificate {certificate, key, authority?} in PEM, generic {any strings}", true},
                        reads_file({"--json-file", "FILE", "The values as a JSON object; - is standard input"}),
                        reads_file({"--certificate", "FILE", "Of kind certificate, in place of --json-file: the client's certificate and what stands between it and its authority, PEM"}),
                        reads_file({"--key", "FILE", "Of kind certificate: its private key, PEM, without a passphrase"}),
                        reads_file({"--authority", "FILE", "Of kind certificate: by whom the server's certificate is judged, beside the system's authorities, PEM"}),
                        {"--held", "machine", "Instead of --json-file: the machines of the agents have the values, each its own"},
                        {"--hosts", "HOST", "Where it may be sent to; may be repeated. Without: every host that a job may reach", false, true},
                        {"--environment", "NAME", "The only environment whose jobs and notifications may use it"},
                        {"--expires", "TIME", "When it ends, RFC 3339"}},
            .run = set};
}

}  // namespace mill::cli
