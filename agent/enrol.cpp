#include "agent/enrol.h"

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "agent/factory_client.h"
#include "agent/policy.h"
#include "platform/base/encode.h"
#include "platform/crypto.h"
#include "platform/files.h"
#include "platform/local_http.h"
#include "platform/machine.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

bool is_loopback(const std::string& host)
{
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

/// The key of an enrolment whose answer never came: the same code with the same key gets the same answer.
class PendingKey {
public:
    /// Without a code: the same key each time, so that a command that is started again goes on.
    PendingKey(const std::string& data_folder, const std::string& code)
        : path_(data_folder + "/enrolment-key"), code_(code.empty() ? "admission" : to_hex(platform::sha256(code)))
    {
    }
    Result<platform::SigningKey> get() const
    {
        if (auto text = platform::read_secret_file(path_)) {
            auto json = parse_json(*text);
            if (json && (*json)["code"].as_string() == code_) {
                auto secret = from_base64((*json)["key"].as_string());
                auto open = from_base64((*json)["publicKey"].as_string());
                if (secret && open && secret->size() == 32 && open->size() == 32) return platform::SigningKey{*secret, *open};
            }
        }
        platform::SigningKey key = platform::make_signing_key();
        const Json json = Json::object({{"code", code_}, {"key", to_base64(key.private_key)}, {"publicKey", to_base64(key.public_key)}});
        if (auto done = platform::write_file(path_, dump_json(json) + "\n", 0600); !done) return fail(path_, std::move(done.error()));
        return key;
    }
    void forget() const { (void)platform::remove_tree(path_); }

private:
    std::string path_, code_;
};

bool says(const std::string& text, std::string_view words) { return text.find(words) != std::string::npos; }

/// What went wrong, whose matter it is, and what to type.
Error explain(Error error, const Refusal& refusal, const EnrolOptions& options, const platform::HttpOptions& http)
{
    const auto answers_not = [&] { return fmt::format("{} answers, but is no Millwright factory: {}; look at the address (scheme, port, path)", options.factory, error.what); };
    if (refusal.status == 407 || error.code == Errc::cancelled || error.code == Errc::timeout) return error;
    if (refusal.status == 0 && error.code == Errc::denied) {
        error.what = fmt::format("the factory {} is not trusted: {}; of a private authority give its certificate: 'caFile: FILE' in config.yaml (--config FILE), and see "
                                 "that this machine's clock is right: it says {}", options.factory, error.what, format_time(system_clock().now()));
    } else if (refusal.status == 0) {
        const std::string through = http.proxy.empty() ? std::string() : " through the proxy that config.yaml or https_proxy names";
        const bool refused = says(error.what, "407");
        error.what = refused ? fmt::format("the proxy wants a user and a password (407): config.yaml: 'proxy: http://USER:PASSWORD@HOST:PORT' ({})", error.what)
                             : fmt::format("the factory {} is not reachable{}: {}", options.factory, through, error.what);
        if (refused) error.code = Errc::denied;
    } else if (error.code == Errc::corrupt || !refusal.problem) {
        if (refusal.status < 500) {
            error.what = answers_not();
            error.code = Errc::invalid;
        }
    } else if (refusal.status == 404) {
        error.what = options.code.empty() && refusal.name == "unknown_route"
                         ? fmt::format("the factory {} is older than this agent and admits by code only: millwright agents invite, then --code-file FILE", options.factory)
                         : answers_not();
    } else if ((refusal.status == 401 || refusal.status == 403) && !options.code.empty()) {
        error.what = "the factory does not accept this code: " + error.what;
        if (!says(error.what, "agents invite")) error.what += "; an administrator makes a new one (millwright agents invite)";
    } else if (refusal.status == 409 && !says(error.what, "--name")) {
        error.what = fmt::format("{}; choose another name with --name", error.what);
    }
    return error;
}

/// How far this machine's clock is off, when that matters.
std::string clock_note(const Refusal& refusal)
{
    if (!refusal.date) return {};
    const std::int64_t seconds = (system_clock().now() - *refusal.date).count() / 1'000'000;
    return std::abs(seconds) > 20 ? clock_words(seconds) : std::string();
}

/// The identity that this folder has at the factory. Errors: not_found, corrupt.
Result<Identity> known_at(const std::string& data_folder, const std::string& url)
{
    auto ids = enrolled_factories(data_folder);
    if (!ids) return fail(std::move(ids.error()));
    for (const std::string& id : *ids) {
        auto identity = load_identity(data_folder, id);
        if (!identity) return fail(std::move(identity.error()));
        if (identity->factory_url == url) return identity;
    }
    return fail(Errc::not_found, "not enrolled there");
}

/// Fine when the factory refuses this identity for good. Errors: conflict (it works), what kept us from asking.
Status is_refused(const Identity& identity, const Config& config, std::stop_token stop)
{
    Refusal refusal;
    auto token = Tokens(identity, config, system_clock()).get(std::move(stop), &refusal);
    if (token)
        return fail(Errc::conflict, fmt::format("this folder is enrolled as agent '{}' of {} already, and the factory knows it: there is nothing to do; another agent on this "
                                                "machine needs another --data", identity.name, identity.factory_url));
    for (const char* name : {"unknown_agent", "revoked", "copied_key", "other_key"})
        if (refusal.name == name) return {};
    return fail(fmt::format("this folder is enrolled as agent '{}' already", identity.name), std::move(token.error()));
}

Result<Json> swap_code(platform::HttpClient& client, const EnrolOptions& options, const std::string& url, const std::string& name, const platform::SigningKey& key,
                       std::stop_token stop, Refusal& refusal)
{
    platform::HttpRequest request;
    request.method = "POST";
    request.uri = url + std::string(protocol::route::kEnrol);
    request.headers = {{"Content-Type", "application/json"}};
    Json body = Json::object({{"version", protocol::kVersion},
                              {"must", Json::array()},
                              {"code", options.code},
                              {"name", name},
                              {"publicKey", to_base64(key.public_key)},
                              {"facts", platform::find_facts()}});
    if (options.mode) body.set("mode", std::string(protocol::name(*options.mode)));
    request.body = dump_json(body);
    return call(client, std::move(request), std::move(stop), &refusal);
}

/// One question to the machine's agent. `refusal.status`: what it answered.
Result<Json> ask_machine(const std::string& socket, std::string method, std::string target, std::string body, Refusal& refusal)
{
    auto said = platform::call_local_socket(socket, {std::move(method), std::move(target), std::move(body), {}}, std::chrono::seconds(12));
    if (!said && (said.error().code == Errc::not_found || said.error().code == Errc::denied))
        return fail(Errc::not_found, fmt::format("no agent of this machine lets people join at {} ({}): its administrator runs one as a service, or this agent is enrolled with a code (millwright agents invite)", socket, said.error().what));
    if (!said) return fail("the machine's agent", std::move(said.error()));
    auto json = parse_json(said->body);
    refusal.status = said->status;
    refusal.problem = true;
    if (said->status == 200 && json) return json;
    const std::string detail = json ? (*json)["detail"].as_string() : std::string();
    const Errc code = said->status == 403 ? Errc::denied : said->status >= 500 || said->status == 429 ? Errc::unavailable : said->status == 409 ? Errc::conflict : Errc::invalid;
    return fail(code, detail.empty() ? fmt::format("the machine's agent answers {}", said->status) : detail);
}

/// The factory that the machine's agent serves, or the one of them that was said; `ca_file` is what that agent trusts.
Result<std::string> machine_factory(const EnrolOptions& options, std::string& ca_file)
{
    Refusal refusal;
    const auto said = ask_machine(options.through, "GET", "/v1/factories", "", refusal);
    if (!said) return fail(said.error());
    std::string names;
    std::vector<std::string> urls;
    for (const Json& one : (*said)["factories"].as_array()) {
        if (!options.factory.empty() && one["url"].as_string() != options.factory) continue;
        urls.push_back(one["url"].as_string());
        ca_file = one["caFile"].as_string();
        names += (names.empty() ? "" : ", ") + urls.back();
    }
    if (urls.empty()) return fail(Errc::invalid, options.factory.empty() ? "this machine's agent serves no factory" : fmt::format("this machine's agent does not serve {}", options.factory));
    if (urls.size() > 1) return fail(Errc::invalid, fmt::format("this machine's agent serves several factories: choose one with --factory: {}", names));
    return urls.front();
}

Result<std::string> factory_address(const EnrolOptions& options)
{
    auto uri = platform::parse_uri(options.factory);
    if (!uri) return fail("--factory", std::move(uri.error()));
    if (!uri->query.empty()) return fail(Errc::invalid, "--factory: a factory's address has no query");
    if (uri->scheme == "http" && !is_loopback(uri->host) && !options.insecure)
        return fail(Errc::invalid, fmt::format("--factory: {} is plain text to another machine; use https, or say --insecure", options.factory));
    std::string url = uri->scheme + "://" + uri->authority() + uri->path;
    while (url.ends_with('/')) url.pop_back();
    return url;
}

Result<Identity> identity_in(const Json& said, const EnrolOptions& options, const std::string& url, const platform::SigningKey& key)
{
    Identity identity;
    identity.factory_url = url;
    identity.private_key.set(key.private_key);
    identity.mode = options.mode ? *options.mode : protocol::parse_mode(said["mode"].as_string()).value_or(protocol::AgentMode::unattended);   // an older factory says none
    auto pinned = from_base64(said["factoryKey"].as_string());
    identity.agent_id = said["agentId"].as_string();
    identity.factory_id = said["factoryId"].as_string();
    identity.name = said["name"].as_string();
    identity.token_url = said["tokenUrl"].as_string();
    identity.environment = said["environment"].as_string();
    if (!pinned || pinned->size() != 32 || identity.agent_id.empty() || identity.factory_id.empty() || identity.token_url.empty())
        return fail(Errc::corrupt, fmt::format("{} answered, but not with an identity", options.factory));
    identity.factory_key = std::move(*pinned);
    identity.publishers = read_publishers(said["publishers"]);
    return identity;
}

}  // namespace

Result<Enrolled> enrol(const EnrolOptions& options, std::stop_token stop)
{
    std::string ca_of_machine;
    auto url = options.through.empty() ? factory_address(options) : machine_factory(options, ca_of_machine);
    if (!url) return fail(std::move(url.error()));
    if (auto made = platform::make_folder(options.data_folder, 0700); !made) return fail(std::move(made.error()));
    // Also a folder that was there before: keys and journal are nobody else's business.
    std::error_code ignored;
    std::filesystem::permissions(options.data_folder, std::filesystem::perms::owner_all, ignored);
    auto alone = platform::lock_file(options.data_folder + "/enrol.lock");
    if (!alone) return fail("another enrolment in this folder goes on", std::move(alone.error()));
    auto lock = lock_data_folder(options.data_folder);
    if (!lock && lock.error().code != Errc::conflict) return fail(std::move(lock.error()));
    auto config = load_config(options.config_path, options.data_folder);
    if (!config) return fail(std::move(config.error()));

    Enrolled out;
    std::string name = options.name;
    auto known = known_at(options.data_folder, *url);
    if (!known && known.error().code != Errc::not_found) return fail(std::move(known.error()));
    // A running agent is left alone: another factory can be added beside it, what it uses cannot be replaced.
    out.running = !lock;
    if (known && !lock) return fail(std::move(lock.error()));
    if (known) {
        if (auto refused = is_refused(*known, *config, stop); !refused) return fail(std::move(refused.error()));
        if (name.empty()) name = known->name;
    }
    if (name.empty()) name = platform::host_name();

    const PendingKey pending(options.data_folder, options.through.empty() ? options.code : "through-machine");
    auto key = pending.get();
    if (!key) return fail(std::move(key.error()));
    const platform::HttpOptions http = http_options(*config, *url);
    auto client = platform::make_http_client(http);
    Refusal refusal;
    const auto ask = [&] {
        if (!options.through.empty())
            return ask_machine(options.through, "POST", "/v1/sessions",
                               dump_json(Json::object({{"factory", *url}, {"publicKey", to_base64(key->public_key)}, {"facts", platform::find_facts()}})), refusal);
        if (!options.code.empty()) return swap_code(*client, options, *url, name, *key, stop, refusal);
        const auto show = options.show ? options.show : [](const Waiting&) {};
        return be_admitted(*client, {*url, name, options.environment, options.mode.value_or(protocol::AgentMode::unattended), *key}, show, system_clock(), stop, refusal);
    };
    auto answer = ask();
    out.note = clock_note(refusal);
    if (!answer && !options.through.empty()) return fail(std::move(answer.error()));
    if (!answer) {
        Error error = explain(std::move(answer.error()), refusal, options, http);
        if (!out.note.empty()) error.what += "; " + out.note;
        return fail(std::move(error));
    }
    auto identity = identity_in(*answer, options, *url, *key);
    if (!identity) return fail(std::move(identity.error()));
    out.again = known && known->factory_id == identity->factory_id;
    if (!out.again && platform::exists(options.data_folder + "/factories/" + identity->factory_id + "/agent.json")) {
        // The same factory under another address.
        if (!lock) return fail(std::move(lock.error()));
        auto before = load_identity(options.data_folder, identity->factory_id);
        if (!before) return fail(std::move(before.error()));
        before->factory_url = *url;
        if (auto refused = is_refused(*before, *config, stop); !refused) return fail(std::move(refused.error()));
        out.again = true;
    }
    auto saved = out.again ? replace_identity(options.data_folder, *identity) : save_identity(options.data_folder, *identity);
    if (!saved) return fail(std::move(saved.error()));
    pending.forget();
    if (const std::string path = options.data_folder + "/policy.yaml"; !platform::exists(path))
        if (auto written = platform::write_file(path, default_policy_text(), 0644); !written) return fail(std::move(written.error()));
    if (!ca_of_machine.empty() && config->ca_file.empty()) out.note = fmt::format("the machine's agent trusts the authority in {0}: write 'caFile: {0}' into {1}/config.yaml when this agent does not reach the factory", ca_of_machine, options.data_folder);
    out.identity = std::move(*identity);
    out.approved = (*answer)["approved"].as_bool();
    return out;
}

}  // namespace mill::agent
