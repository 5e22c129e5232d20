#include "agent/broker/broker.h"

#include <algorithm>

#include "agent/broker/keyring.h"
#include "agent/keeper/messages.h"
#include "agent/broker/sealed.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/base/log.h"
#include "platform/folder.h"
#include "platform/secret_store.h"
#include "protocol/secrets.h"

namespace mill::broker {
namespace {

Result<std::string> read_whole(const platform::Handle& file)
{
    std::string out;
    while (out.size() <= platform::kMaxSecretFile) {
        auto some = platform::read_some(file, 64 * 1024);
        if (!some) return some;
        if (some->empty()) return out;
        out += *some;
    }
    return fail(Errc::too_large, "its file is too large");
}

}  // namespace

Broker::Broker(platform::Channel keeper)
    : keeper_(std::move(keeper)), key_(platform::make_sealing_key()), burier_([this](std::stop_token stop) {
          while (auto attempt = ended_.receive(stop)) attempt->reset();
      })
{
    auto bell = platform::Channel::pair();
    check(bell.has_value(), "no channel for the bell");
    bell_in_ = std::move(bell->first);
    bell_out_ = std::move(bell->second);
    keyring_ = std::jthread([this](std::stop_token stop) {
        while (auto name = keyring_names_.receive(stop)) {
            auto text = look_in_keyring(*name, stop);
            if (keyring_texts_.try_send({std::move(*name), std::move(text)})) (void)bell_in_.send("!");
        }
    });
}

Status Broker::run(std::stop_token stop)
{
    while (!stop.stop_requested()) {
        const auto ready = platform::wait_any({&keeper_, agent_.valid() ? &agent_ : nullptr, &bell_out_}, std::nullopt, stop);
        if (!ready) return ready.error().code == Errc::cancelled ? Status{} : Status(fail(ready.error()));
        if (!*ready) continue;
        if (**ready == 2) {
            (void)bell_out_.receive(Milliseconds(0));
            for (auto& [name, text] : keyring_texts_.drain()) take_credential(name, text);
            continue;
        }
        platform::Channel& from = **ready == 0 ? keeper_ : agent_;
        auto message = from.receive(Milliseconds(0), stop);
        if (**ready == 0) {
            if (!message) {
                // The keeper is gone, or we are to go: no trouble.
                const Errc code = message.error().code;
                return code == Errc::unavailable || code == Errc::cancelled ? Status{} : Status(fail("keeper", message.error()));
            }
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
        greet_agent();
    } else if (verb == "attach" && words->size() >= 2 && message.handle.valid()) {
        const bool again = words->size() >= 3 && (*words)[2] == "again";
        if (Attempt* attempt = find((*words)[1], true)) attempt->attach(platform::Channel::from(std::move(message.handle)), again);
    } else if (verb == "detach" && words->size() >= 2) {
        const auto found = attempts_.find((*words)[1]);
        if (found == attempts_.end()) return;
        found->second->detach();
        ended_.try_send(std::move(found->second));
        attempts_.erase(found);
    } else if (verb == "credential" && words->size() >= 2) {
        hear_credential(*words, message.handle);
    } else {
        log::warning("broker", "the keeper said '{}', which is not understood", verb);
    }
}

/// A new agent hears what credentials are to be sealed to, and which attempts have theirs from the agent before it.
void Broker::greet_agent()
{
    Json open = Json::object();
    for (const auto& [key, attempt] : attempts_)
        if (const auto grants = attempt->grants()) open.set(key, Json::object({{"reveal", grants->revealed}}));
    (void)say(Json::object({{"sealingKey", to_base64(key_.public_key)}, {"open", std::move(open)}}));
}

/// With the opened file, or with the code of an error and its text.
void Broker::hear_credential(const keeper::Words& words, const platform::Handle& file)
{
    const std::string& name = words[1];
    if (file.valid()) return take_credential(name, read_whole(file));
    const bool none = words.size() >= 4 && words[2] == mill::name(Errc::not_found);
    const std::string why = words.size() >= 4 ? words[3] : "the keeper does not hand it over";
    if (none && has_keyring()) keyring_names_.try_send(name);
    else take_credential(name, fail(none ? Errc::not_found : Errc::denied, why));
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
        forget_opening((*closing)["key"].as_string());
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
    Json permissions = fields.object("grants", Json::object());
    const Json sealed = fields.object("sealed", Json::object());
    const Json plain = fields.object("credentials", Json::object());  // a person's own run (`once`): from that person's file
    std::string missing = fields.text("missing", "");
    if (auto done = fields.done(); !done) return opened(key, done);
    auto boxed = sealed.empty() ? Result<protocol::Boxed>(protocol::Boxed{plain, Json::object()}) : open_box(key_, sealed, key);
    if (!boxed) return opened(key, fail(boxed.error()));
    auto opening = Opening::begin(key, std::move(permissions), std::move(*boxed), std::move(missing));
    if (!opening) return opened(key, fail(opening.error()));
    forget_opening(key);
    if (opening->waits_for().empty()) return finish(*opening);
    std::vector<std::string> asked;
    for (const std::string& name : opening->waits_for())
        if (std::none_of(openings_.begin(), openings_.end(), [&](const Opening& other) { return other.waits_for().contains(name); })) asked.push_back(name);
    openings_.push_back(std::move(*opening));
    for (const std::string& name : asked)
        if (auto said = keeper_.send(keeper::encode({"credential", name}), nullptr, {}, Milliseconds(10'000)); !said) {
            forget_opening(key);
            return opened(key, said);
        }
    return {};
}

/// The keeper's or the keyring's answer for one credential that this machine is to hold.
void Broker::take_credential(const std::string& name, const Result<std::string>& text)
{
    for (auto at = openings_.begin(); at != openings_.end();) {
        if (!at->waits_for().contains(name)) {
            ++at;
            continue;
        }
        const Status taken = at->take(name, text);
        if (taken && !at->waits_for().empty()) {
            ++at;
            continue;
        }
        Opening done = std::move(*at);
        at = openings_.erase(at);
        if (const Status said = taken ? finish(done) : opened(done.key(), taken); !said) log::error("broker", "open: {}", said.error().what);
    }
}

Status Broker::finish(Opening& opening)
{
    auto grants = opening.grants();
    if (!grants) return opened(opening.key(), fail(grants.error()));
    Attempt* attempt = find(opening.key(), true);
    if (attempt == nullptr) return opened(opening.key(), fail(Errc::too_large, "too many attempts are open"));
    protocol::redact_credentials_in_log((*grants)->credentials);
    const Json revealed = (*grants)->revealed;
    attempt->open(std::move(*grants));
    return opened(opening.key(), {}, revealed);
}

Status Broker::opened(const std::string& key, const Status& done, Json revealed)
{
    Json answer = Json::object({{"key", key}});
    if (!done) answer.set("error", done.error().what);
    else if (!revealed.empty()) answer.set("reveal", std::move(revealed));
    const Status said = say(Json::object({{"opened", std::move(answer)}}));
    return done ? said : done;
}

void Broker::forget_opening(const std::string& key)
{
    std::erase_if(openings_, [&](const Opening& opening) { return opening.key() == key; });
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
    return attempts_.emplace(key, std::make_unique<Attempt>(key, budget_)).first->second.get();
}

void Broker::drop_if_unused(const std::string& key)
{
    const auto found = attempts_.find(key);
    if (found == attempts_.end() || found->second->attached() || found->second->opened()) return;
    ended_.try_send(std::move(found->second));
    attempts_.erase(found);
}

}  // namespace mill::broker
