#include "agent/broker/broker.h"

#include "agent/keeper/messages.h"
#include "agent/broker/sealed.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/base/log.h"
#include "protocol/secrets.h"

namespace mill::broker {

Broker::Broker(platform::Channel keeper)
    : keeper_(std::move(keeper)), key_(platform::make_sealing_key()), burier_([this](std::stop_token stop) {
          while (auto attempt = ended_.receive(stop)) attempt->reset();
      })
{
}

Status Broker::run(std::stop_token stop)
{
    while (!stop.stop_requested()) {
        const auto ready = platform::wait_any({&keeper_, agent_.valid() ? &agent_ : nullptr}, std::nullopt, stop);
        if (!ready) return ready.error().code == Errc::cancelled ? Status{} : Status(fail(ready.error()));
        if (!*ready) continue;
        platform::Channel& from = **ready == 0 ? keeper_ : agent_;
        auto message = from.receive(Milliseconds(0), stop);
        if (**ready == 0) {
            if (!message) return message.error().code == Errc::unavailable ? Status{} : Status(fail("keeper", message.error()));
            if (*message) hear_keeper(std::move(**message));
        } else if (!message) {
            log::debug("broker", "the agent is gone: {}", message.error().what);
            agent_ = {};  // the keeper brings the channel of the next one
        } else if (*message) {
            hear_agent(**message);
        }
    }
    return {};
}

void Broker::hear_keeper(platform::Message message)
{
    const auto words = keeper::decode(message.text);
    if (!words || words->empty()) {
        log::error("broker", "a message of the keeper is not understood");
        return;
    }
    const std::string& verb = words->front();
    if (verb == "agent" && message.handle.valid()) {
        agent_ = platform::Channel::from(std::move(message.handle));
        (void)say(Json::object({{"sealingKey", to_base64(key_.public_key)}}));
    } else if (verb == "attach" && words->size() >= 2 && message.handle.valid()) {
        const bool again = words->size() >= 3 && (*words)[2] == "again";
        if (Attempt* attempt = find((*words)[1], true)) attempt->attach(platform::Channel::from(std::move(message.handle)), again);
    } else if (verb == "detach" && words->size() >= 2) {
        const auto found = attempts_.find((*words)[1]);
        if (found == attempts_.end()) return;
        found->second->detach();
        ended_.try_send(std::move(found->second));
        attempts_.erase(found);
    } else {
        log::warning("broker", "the keeper said '{}', which is not understood", verb);
    }
}

void Broker::hear_agent(const platform::Message& message)
{
    const auto json = parse_json(message.text, {.bytes = platform::Channel::kMaxMessage, .depth = 64});
    if (!json) {
        log::error("broker", "a message of the agent is not understood: {}", json.error().what);
        return;
    }
    if (const Json* what = json->find("open")) {
        if (auto ok = open(*what); !ok) log::error("broker", "open: {}", ok.error().what);
    } else if (const Json* closing = json->find("close")) {
        const auto found = attempts_.find((*closing)["key"].as_string());
        if (found == attempts_.end()) return;
        found->second->close();
        drop_if_unused(found->first);
    }
}

Status Broker::open(const Json& what)
{
    Fields fields(what, "open");
    fields.ignore_unknown();
    const std::string key = fields.text("key");
    const Json permissions = fields.object("grants", Json::object());
    const Json sealed = fields.object("sealed", Json::object());
    const Json plain = fields.object("credentials", Json::object());  // a person's own run (`once`): from that person's file
    const std::string missing = fields.text("missing", "");
    Json answer = Json::object({{"key", key}});
    Status done = fields.done();
    Result<Json> credentials = sealed.empty() ? Result<Json>(plain) : open_box(key_, sealed, key);
    if (done && !credentials) done = fail(credentials.error());
    if (done) {
        protocol::redact_credentials_in_log(*credentials);
        auto grants = make_grants(permissions, *credentials, missing);
        Attempt* attempt = grants ? find(key, true) : nullptr;
        if (!grants) done = fail(grants.error());
        else if (attempt == nullptr) done = fail(Errc::too_large, "too many attempts are open");
        else attempt->open(std::move(*grants));
    }
    if (!done) answer.set("error", done.error().what);
    else if (Json texts = revealed_texts(permissions, *credentials); !texts.empty()) answer.set("reveal", std::move(texts));
    const Status said = say(Json::object({{"opened", std::move(answer)}}));
    return done ? said : done;
}

Status Broker::say(const Json& message)
{
    return agent_.send(dump_json(message), nullptr, {}, Milliseconds(10'000));
}

Attempt* Broker::find(const std::string& key, bool make)
{
    const auto found = attempts_.find(key);
    if (found != attempts_.end()) return found->second.get();
    if (!make || attempts_.size() >= kMaxAttempts) return nullptr;
    return attempts_.emplace(key, std::make_unique<Attempt>(key)).first->second.get();
}

void Broker::drop_if_unused(const std::string& key)
{
    const auto found = attempts_.find(key);
    if (found == attempts_.end() || found->second->attached() || found->second->opened()) return;
    ended_.try_send(std::move(found->second));
    attempts_.erase(found);
}

}  // namespace mill::broker
