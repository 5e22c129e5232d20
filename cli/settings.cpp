#include "cli/settings.h"

#include "platform/base/fields.h"
#include "platform/base/yaml.h"
#include "platform/files.h"
#include "platform/http_client.h"

namespace mill::cli {

namespace {

std::string trimmed(std::string text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
    return text;
}

Result<std::string> read_token(const std::string& path)
{
    Result<std::string> text = platform::read_secret_file(path, 4096);
    if (!text) return fail(text.error());
    std::string token = trimmed(std::move(*text));
    if (token.empty()) return fail(Errc::invalid, path + " is empty: it should hold a token (mw_…)");
    return token;
}

}  // namespace

std::string default_config_path() { return platform::config_folder() + "/config.yaml"; }

Result<std::string> clean_factory_url(std::string_view url, std::string_view where)
{
    while (url.ends_with('/')) url.remove_suffix(1);
    if (Result<platform::Uri> uri = platform::parse_uri(url); !uri)
        return fail(std::string(where) + ": the factory's URL must look like https://factory.example.com", uri.error());
    return std::string(url);
}

Result<Settings> read_config(const std::string& path)
{
    Result<std::string> text = platform::read_secret_file(path);
    if (!text) return fail(text.error());
    Result<YamlDocument> yaml = parse_yaml(*text);
    if (!yaml) return fail(path, yaml.error());
    Fields fields(yaml->value, path);
    Settings out;
    out.config_path = path;
    const std::string factory = fields.text("factory", "");
    out.token = fields.text("token", "");
    const std::string token_file = fields.text("tokenFile", "");
    out.ca_file = fields.text("ca", "");
    if (Status done = fields.done(); !done) return fail(done.error());
    if (!factory.empty()) {
        Result<std::string> url = clean_factory_url(factory, path);
        if (!url) return fail(url.error());
        out.factory = *url;
    }
    if (out.token.empty() && !token_file.empty()) {
        Result<std::string> token = read_token(token_file);
        if (!token) return fail(path, token.error());
        out.token = *token;
    }
    out.factory_from = out.token_from = path;
    return out;
}

Result<Settings> find_settings(const SettingsInput& input)
{
    Settings out;
    const std::string path = input.config_path.empty() ? default_config_path() : input.config_path;
    if (platform::exists(path)) {
        Result<Settings> file = read_config(path);
        if (file) out = *file;
        else out.problem = file.error().what;
    } else if (!input.config_path.empty()) {
        out.problem = path + " does not exist";
    }
    out.config_path = path;
    const std::string file_factory = out.factory;

    const std::string env_factory = input.environment("MILLWRIGHT_FACTORY");
    const std::string& said = !input.factory.empty() ? input.factory : env_factory;
    if (!said.empty()) {
        out.factory_from = !input.factory.empty() ? "--factory" : "MILLWRIGHT_FACTORY";
        Result<std::string> url = clean_factory_url(said, out.factory_from);
        if (!url) return fail(url.error());
        out.factory = *url;
    }
    const std::string env_token = input.environment("MILLWRIGHT_TOKEN");
    if (!input.token_file.empty()) {
        Result<std::string> token = read_token(input.token_file);
        if (!token) return fail("--token-file", token.error());
        out.token = *token;
        out.token_from = "--token-file " + input.token_file;
    } else if (!env_token.empty()) {
        out.token = trimmed(env_token);
        out.token_from = "MILLWRIGHT_TOKEN";
    } else if (out.factory != file_factory) {
        out.token.clear();  // it belongs to another factory and must not be sent to this one
        out.token_from.clear();
    }
    if (!input.ca_file.empty()) out.ca_file = input.ca_file;
    return out;
}

Status write_config(const std::string& path, const Settings& settings)
{
    Json document = Json::object();
    document.set("factory", settings.factory);
    if (!settings.token.empty()) document.set("token", settings.token);
    if (!settings.ca_file.empty()) document.set("ca", settings.ca_file);
    const auto slash = path.find_last_of('/');
    if (slash != std::string::npos && slash > 0)
        if (Status made = platform::make_folder(path.substr(0, slash), 0700); !made) return made;
    return platform::write_file(path, dump_yaml(document), 0600);
}

}  // namespace mill::cli
