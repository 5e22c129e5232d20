#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/input.h"
#include "cli/preflight.h"
#include "cli/publishing.h"
#include "cli/resources.h"
#include "cli/sample.h"
#include "platform/base/yaml.h"
#include "platform/files.h"
#include "workflows/check/check.h"
#include "workflows/document.h"

namespace mill::cli {

namespace {

/// "1.2.0" and "sha256:0a1b2c3d…" → "1.2.0-dev.0a1b2c3d": a development version is named by its bytes.
std::string development_version(std::string version, std::string_view digest)
{
    version = version.substr(0, version.find('+'));
    return fmt::format("{}{}dev.{}", version, version.find('-') == std::string::npos ? "-" : ".", digest.substr(digest.find(':') + 1).substr(0, 8));
}

struct Names {
    std::string environment, deployment, trigger;
};

Result<std::vector<ResourceDocument>> documents_for(Context& context, Api& api, const Arguments& arguments, const Names& names,
                                                    const std::string& package)
{
    std::vector<ResourceDocument> out;
    const Result<Json> environment = api.get(join_path("/v1/environments", names.environment));
    if (!environment && environment.error().code != Errc::not_found) return fail(environment.error());
    if (!environment)
        out.push_back({"", 0, Json::object({{"kind", "Environment"}, {"name", names.environment}, {"agents", Json::array({"*"})}})});

    Result<Json> before = api.get(join_path("/v1/deployments", names.deployment));
    if (!before && before.error().code != Errc::not_found) return fail(before.error());
    Json deployment = Json::object({{"kind", "Deployment"}, {"name", names.deployment}, {"package", package}, {"environment", names.environment}});
    if (before) {  // what an operator has set stays, but for what is said now
        deployment = *before;
        deployment.erase("status");
        deployment.set("package", package);
        if (arguments.has("--environment")) deployment.set("environment", names.environment);
    }
    if (arguments.has("--variables")) {
        const Result<Json> variables = read_object(arguments.text("--variables"), context.stop);
        if (!variables) return fail(variables.error());
        deployment.set("variables", *variables);
    }
    if (arguments.has("--credential")) {
        const Result<Json> credentials = read_pairs(arguments.texts("--credential"), "--credential");
        if (!credentials) return fail(credentials.error());
        deployment.set("credentials", *credentials);
    }
    if (arguments.has("--grant")) {
        const Result<Json> grant = read_object(arguments.text("--grant"), context.stop);
        if (!grant) return fail(grant.error());
        deployment.set("permissions", grant->contains("permissions") ? (*grant)["permissions"] : *grant);
    } else if (!deployment.contains("permissions")) {
        deployment.set("permissions", "as-requested");
    }
    out.push_back({"", 0, deployment});

    const Result<Json> trigger = api.get(join_path("/v1/triggers", names.trigger));
    if (!trigger && trigger.error().code != Errc::not_found) return fail(trigger.error());
    if (!trigger)
        out.push_back({"", 0, Json::object({{"kind", "Trigger"}, {"name", names.trigger}, {"deployment", names.deployment}, {"type", "api"}, {"runOn", "unattended"}})});
    return out;
}

/// The file with the trigger's token: made once, kept beside the person's configuration. Empty when none can be made.
Result<std::string> token_file(Context& context, Api& api, const std::string& trigger, bool created)
{
    const std::string folder = platform::config_folder() + "/triggers";
    const std::string path = folder + "/" + trigger + ".token";
    if (const auto kept = platform::read_secret_file(path, 4096); kept && !created) {
        Api caller(api.factory(), kept->substr(0, kept->find('\n')), context.settings.ca_file, context.stop);
        if (const auto who = caller.get("/v1/session"); who && (*who)["kind"].as_string() == "trigger" && (*who)["name"].as_string() == trigger) return path;
    }
    const Result<Json> made = api.post(join_path("/v1/triggers", trigger, "/token"), Json());
    if (!made) {
        if (made.error().code == Errc::conflict || made.error().code == Errc::denied) return std::string();
        return fail(made.error());
    }
    if (Status folder_made = platform::make_folder(folder, 0700); !folder_made) return fail(folder_made.error());
    if (Status written = platform::write_file(path, (*made)["token"].as_string() + "\n", 0600); !written) return fail(written.error());
    context.console.note(fmt::format("a token for callers of {} is stored in {}", trigger, path));
    return path;
}

Json sample_input(const workflows::Package& package)
{
    const auto found = package.workflows.find("main");
    if (found == package.workflows.end()) return Json::object();
    const Json& schema = found->second->source["input"]["schema"]["document"];
    return schema.is_object() ? sample_of(schema) : Json::object();
}

Result<int> run(Context& context, const Arguments& arguments)
{
    const std::string folder = arguments.text("FOLDER");
    Console& console = context.console;
    Result<workflows::Package> package = read_package(folder);
    if (!package) return fail(package.error());
    workflows::check_into(*package);
    for (const workflows::Finding& finding : package->findings) console.note(printable(finding.format()));
    if (!package->valid()) return fail(Errc::invalid, folder + " is not valid: nothing was sent");
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());

    Result<std::string> bytes = package_bytes(folder);
    if (!bytes) return fail(bytes.error());
    std::string version = package->manifest.version;
    if (!arguments.has("--release")) {
        version = development_version(version, workflows::package_digest(*bytes));
        bytes = package_bytes(folder, version);
        if (!bytes) return fail(bytes.error());
    }
    const Result<Published> published = publish(**api, *bytes);
    if (!published) return fail(published.error());

    const std::string& name = package->manifest.name;
    const Names names{arguments.text("--environment", "default"), arguments.text("--name", name),
                      arguments.text("--trigger", arguments.text("--name", name))};
    const Result<std::vector<ResourceDocument>> documents = documents_for(context, **api, arguments, names, name + "@" + version);
    if (!documents) return fail(documents.error());
    const Result<Json> results = apply_resources(**api, *documents, false, arguments.has("--accept"), arguments.has("--force"));
    if (!results) return fail(results.error());

    bool trigger_created = false;
    for (const Json& result : results->as_array())
        if (result["kind"].as_string() == "Trigger" && result["result"].as_string() == "created") trigger_created = true;
    const Result<std::string> token = token_file(context, **api, names.trigger, trigger_created);
    if (!token) return fail(token.error());
    const Result<Json> calls = (*api)->get(join_path("/v1/triggers", names.trigger, "/calls"));
    if (!calls) return fail(calls.error());
    const std::string& url = (*calls)["urls"]["v1"].as_string();
    const std::string bearer = token->empty() ? "$MILLWRIGHT_TOKEN" : "$(cat " + shell_quoted(*token) + ")";
    const std::string curl = fmt::format("curl -sS -X POST {} \\\n  -H \"Authorization: Bearer {}\" \\\n  -H 'Content-Type: application/json' \\\n  -d {}",
                                         shell_quoted(url), bearer, shell_quoted(dump_json(Json::object({{"input", sample_input(*package)}}))));
    if (console.json()) {
        Json applied = Json::array();
        for (const ResourceDocument& document : *documents) applied.push(document.document);
        console.document(Json::object({{"package", published->package}, {"results", *results}, {"documents", applied}, {"url", url}, {"curl", curl}, {"tokenFile", *token}, {"preflights", preflights(**api, *results)}}));
        return kDone;
    }
    console.note(fmt::format("{} {} {}", published->existed ? "is there already:" : "published", name, version));
    bool first = true;
    for (const ResourceDocument& document : *documents) {
        if (!first) console.line("---");
        first = false;
        console.write(dump_yaml(document.document));
    }
    console.line();
    console.line("# " + url);
    console.line(curl);
    if (token->empty())
        console.note(fmt::format("no token was made for it: `millwright triggers token {} --rotate` makes one", names.trigger));
    if (const std::string& ready = (*calls)["ready"]["text"].as_string(); !ready.empty()) console.note("a job now: " + one_line(ready));
    warn_preflights(console, *results, preflights(**api, *results));
    return kDone;
}

}  // namespace

Command deploy_command()
{
    return {.name = "deploy",
            .summary = "Check, pack and publish a folder and make it callable; prints what was applied, the URL and a curl",
            .examples = "millwright deploy my-package/\nmillwright deploy my-package/ --environment test --variables test.yaml\nmillwright deploy my-package/ --release --accept",
            .options = {reads_path({"FOLDER", "", "Folder with package.yaml", true}),
                        {"--environment", "NAME", "Where it runs (default); made for all agents when it is not there"},
                        {"--name", "NAME", "Of the deployment (the package's name)"},
                        {"--trigger", "NAME", "Of the trigger (as the deployment)"},
                        reads_file({"--variables", "FILE", "Values of the package's variables"}),
                        {"--credential", "NAME=CREDENTIAL", "A credential of the package and its name in the factory; may be repeated", false, true},
                        reads_file({"--grant", "FILE", "Permissions instead of what package.yaml asks for"}),
                        {"--accept", "", "Grant what this version asks for beyond the one before"},
                        {"--force", "", "Also when this version was rolled back"},
                        {"--release", "", "Under the version in package.yaml instead of VERSION-dev.DIGEST"}},
            .run = run};
}

}  // namespace mill::cli
