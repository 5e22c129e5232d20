// agent/broker/effects.h -- the table of effects. One file per kind: effects_NAME.cpp; each checks the grants itself, first.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "agent/broker/message.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/base/redact.h"
#include "platform/http_client.h"
#include "protocol/permissions.h"

namespace mill::broker {

/// What one attempt may do, and with which values. Lives in memory only, as long as the attempt is open.
struct Grants {
    protocol::Permissions permissions;
    Json credentials;   ///< NAME → {username, password, token, hosts, …}
    std::string missing; ///< why there are none although some are granted; empty: there are, or none are bound
    std::map<std::string, std::vector<std::string>> machine_hosts = {};  ///< NAME → where this machine's owner lets it go, at most
    std::set<std::string> kept = {};  ///< NAMEs whose values this machine's owner lets no job have in plain
    Json revealed = Json::array();  ///< the texts that the job may have in plain, for the agent to mask
    Redactor redactor = {};  ///< knows every value of `credentials`
};
Result<std::shared_ptr<const Grants>> make_grants(const Json& permissions, Json credentials, std::string missing = {},
                                                  std::map<std::string, std::vector<std::string>> machine_hosts = {}, std::set<std::string> kept = {});

class Logins;  // agent/broker/login.h

/// The HTTP clients of one attempt: one per destination and its addresses, the least used dropped; and what was learned to log in.
/// Thread: any.
class HttpClients {
public:
    HttpClients();
    ~HttpClients();
    Logins& logins() { return *logins_; }
    std::shared_ptr<platform::HttpClient> client(const platform::Uri& uri, const std::vector<std::string>& addresses);

private:
    static constexpr std::size_t kMost = 16;
    std::mutex mutex_;
    std::list<std::pair<std::string, std::shared_ptr<platform::HttpClient>>> clients_;  // latest in front
    std::unique_ptr<Logins> logins_;
};

struct EffectContext {
    const Grants& grants;
    HttpClients& clients;
    SteadyTime deadline;
    std::stop_token stop;    ///< cancelled, expired, or the attempt is over
    std::string helper = {}; ///< the program that parses outside data; empty: this one
    std::size_t masked = 0;  ///< secrets that were taken out of the result, or of the error
    Milliseconds left() const;
};

using Effect = Outcome<Json> (*)(const Json& with, EffectContext& context);

Outcome<Json> http_request(const Json& with, EffectContext& context);
Outcome<Json> file_read(const Json& with, EffectContext& context);
Outcome<Json> file_write(const Json& with, EffectContext& context);
Outcome<Json> file_list(const Json& with, EffectContext& context);
Outcome<Json> archive_create(const Json& with, EffectContext& context);
Outcome<Json> archive_verify(const Json& with, EffectContext& context);
Outcome<Json> system_usage(const Json& with, EffectContext& context);
Outcome<Json> command_start(const Json& with, EffectContext& context);
Outcome<Json> credential_reveal(const Json& with, EffectContext& context);

/// Null when there is none of that name.
Effect find_effect(std::string_view name);
/// Finds it, runs it, and takes the attempt's secrets out of whatever error it gives.
Outcome<Json> perform(const EffectCall& call, EffectContext& context);

}  // namespace mill::broker
