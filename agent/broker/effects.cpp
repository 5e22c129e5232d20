#include "agent/broker/effects.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "agent/broker/credentials.h"
#include "agent/broker/login.h"
#include "agent/broker/sealed.h"
#include "protocol/secrets.h"

namespace mill::broker {
namespace {

struct Row {
    std::string_view name;
    Effect effect;
};
constexpr std::array kTable = {
    Row{"archive.create", archive_create}, Row{"archive.verify", archive_verify}, Row{"command.start", command_start},
    Row{"credential.reveal", credential_reveal},
    Row{"file.list", file_list},           Row{"file.read", file_read},           Row{"file.write", file_write},
    Row{"http.request", http_request},     Row{"system.usage", system_usage},
};

}  // namespace

Result<std::shared_ptr<const Grants>> make_grants(const Json& permissions, Json credentials, std::string missing,
                                                  std::map<std::string, std::vector<std::string>> machine_hosts, std::set<std::string> kept)
{
    auto parsed = protocol::parse_permissions(permissions, "grants");
    if (!parsed) return fail(parsed.error());
    auto grants = std::make_shared<Grants>();
    grants->permissions = std::move(*parsed);
    Json in_plain = credentials;
    for (const std::string& name : kept) in_plain.erase(name);
    grants->revealed = revealed_texts(permissions, in_plain);
    grants->kept = std::move(kept);
    grants->redactor = protocol::redactor_of_credentials(credentials);
    grants->credentials = std::move(credentials);
    grants->missing = std::move(missing);
    grants->machine_hosts = std::move(machine_hosts);
    return std::shared_ptr<const Grants>(std::move(grants));
}

HttpClients::HttpClients() : logins_(std::make_unique<Logins>()) {}
HttpClients::~HttpClients() = default;

std::shared_ptr<platform::HttpClient> HttpClients::client(const platform::Uri& uri, const std::vector<std::string>& addresses)
{
    const std::string pinned = fmt::format("{}", fmt::join(addresses, ","));
    const std::string key = fmt::format("{}://{}:{} {}", uri.scheme, uri.host, uri.port, pinned);
    const std::scoped_lock lock(mutex_);
    const auto found = std::find_if(clients_.begin(), clients_.end(), [&](const auto& item) { return item.first == key; });
    if (found != clients_.end()) {
        clients_.splice(clients_.begin(), clients_, found);
    } else {
        platform::HttpOptions options;
        options.pinned_address = pinned;
        clients_.emplace_front(key, platform::make_http_client(std::move(options)));
        if (clients_.size() > kMost) clients_.pop_back();
    }
    return clients_.front().second;
}

Milliseconds EffectContext::left() const
{
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - system_clock().steady());
    return std::max(left, Milliseconds(1));
}

Effect find_effect(std::string_view name)
{
    const auto found = std::find_if(kTable.begin(), kTable.end(), [&](const Row& row) { return row.name == name; });
    return found == kTable.end() ? nullptr : found->effect;
}

Outcome<Json> perform(const EffectCall& call, EffectContext& context)
{
    const Effect effect = find_effect(call.effect);
    if (effect == nullptr)
        return refuse("configuration", 404, "Unknown effect", fmt::format("there is no effect '{}'", call.effect));
    if (call.effect != "http.request" && holds_handle(call.with))
        return refuse("authorization", 403, "Secret not for this", fmt::format("{} takes no secret: only http.request does", call.effect));
    Outcome<Json> outcome = effect(call.with, context);
    if (!outcome) {
        outcome.error().detail = context.grants.redactor.apply(outcome.error().detail, context.masked);
        outcome.error().title = context.grants.redactor.apply(outcome.error().title, context.masked);
    }
    return outcome;
}

}  // namespace mill::broker
