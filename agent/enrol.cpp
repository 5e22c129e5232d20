#include "agent/enrol.h"

#include <filesystem>

#include <fmt/format.h>

#include "agent/factory_client.h"
#include "agent/policy.h"
#include "platform/base/encode.h"
#include "platform/crypto.h"
#include "platform/files.h"
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
    PendingKey(const std::string& data_folder, const std::string& code)
        : path_(data_folder + "/enrolment-key"), code_(to_hex(platform::sha256(code)))
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

Error explain(Error error, const Refusal& refusal, const EnrolOptions& options)
{
    if (refusal.status == 401 || refusal.status == 403)
        error.what = "the factory does not accept this code: " + error.what + "; ask for a new one (millwright agents invite)";
    else if (refusal.status == 409)
        error.what = fmt::format("{}; choose another name with --name", error.what);
    else if (refusal.status == 404)
        error.what = fmt::format("{} answers, but is no factory of this kind: {}", options.factory, error.what);
    else if (refusal.status == 0)
        error.what = fmt::format("the factory {} is not reachable: {}", options.factory, error.what);
    return error;
}

}  // namespace

Result<Enrolled> enrol(const EnrolOptions& options)
{
    auto uri = platform::parse_uri(options.factory);
    if (!uri) return fail("--factory", std::move(uri.error()));
    if (!uri->query.empty()) return fail(Errc::invalid, "--factory: a factory's address has no query");
    if (uri->scheme == "http" && !is_loopback(uri->host) && !options.insecure)
        return fail(Errc::invalid, fmt::format("--factory: {} is plain text to another machine; use https, or say --insecure", options.factory));
    std::string url = uri->scheme + "://" + uri->authority() + uri->path;
    while (url.ends_with('/')) url.pop_back();

    if (auto made = platform::make_folder(options.data_folder, 0700); !made) return fail(std::move(made.error()));
    // Also a folder that was there before: keys and journal are nobody else's business.
    std::error_code ignored;
    std::filesystem::permissions(options.data_folder, std::filesystem::perms::owner_all, ignored);
    auto lock = lock_data_folder(options.data_folder);
    if (!lock) return fail(std::move(lock.error()));
    auto config = load_config(options.config_path, options.data_folder);
    if (!config) return fail(std::move(config.error()));

    const PendingKey pending(options.data_folder, options.code);
    auto key = pending.get();
    if (!key) return fail(std::move(key.error()));
    Identity identity;
    identity.factory_url = url;
    identity.private_key = key->private_key;
    identity.mode = options.mode;
    const std::string name = options.name.empty() ? platform::host_name() : options.name;
    const Json body = Json::object({{"version", protocol::kVersion},
                                    {"must", Json::array()},
                                    {"code", options.code},
                                    {"name", name},
                                    {"mode", std::string(protocol::name(options.mode))},
                                    {"publicKey", to_base64(key->public_key)},
                                    {"facts", platform::find_facts()}});
    auto client = platform::make_http_client(http_options(*config, url));
    platform::HttpRequest request;
    request.method = "POST";
    request.uri = url + std::string(protocol::route::kEnrol);
    request.headers = {{"Content-Type", "application/json"}};
    request.body = dump_json(body);
    Refusal refusal;
    auto answer = call(*client, std::move(request), {}, &refusal);
    if (!answer) return fail(explain(std::move(answer.error()), refusal, options));

    const Json& said = *answer;
    auto pinned = from_base64(said["factoryKey"].as_string());
    identity.agent_id = said["agentId"].as_string();
    identity.factory_id = said["factoryId"].as_string();
    identity.name = said["name"].as_string();
    identity.token_url = said["tokenUrl"].as_string();
    identity.environment = said["environment"].as_string();
    if (!pinned || pinned->size() != 32 || identity.agent_id.empty() || identity.factory_id.empty() || identity.token_url.empty())
        return fail(Errc::corrupt, fmt::format("{} answered, but not with an identity", options.factory));
    identity.factory_key = std::move(*pinned);
    if (auto saved = save_identity(options.data_folder, identity); !saved) return fail(std::move(saved.error()));
    pending.forget();
    if (const std::string path = options.data_folder + "/policy.yaml"; !platform::exists(path))
        if (auto written = platform::write_file(path, default_policy_text(), 0644); !written) return fail(std::move(written.error()));
    return Enrolled{std::move(identity), said["approved"].as_bool()};
}

}  // namespace mill::agent
