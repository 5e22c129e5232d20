// The runs' channel to the broker: made when somebody needs it, made anew when it broke.
#include "agent/runs.h"

#include "platform/base/encode.h"
#include "platform/base/log.h"

namespace mill::agent {

void Runs::to_broker(const Json& message)
{
    if (broker_.valid()) {
        const auto sent = broker_.send(dump_json(message), nullptr, {}, std::chrono::seconds(5));
        if (sent) return;
        log::warning("broker", "{}", sent.error().what);
        broker_ = platform::Channel();
        broker_key_.clear();
    }
    // Nothing is kept: a new broker hears of every run from `on_broker`.
    if (!message.contains("close")) need_broker();
}

void Runs::need_broker()
{
    if (broker_asked_) return;
    broker_asked_ = true;
    (void)keeper_.broker();
}

void Runs::on_broker_readable()
{
    auto message = broker_.receive(Milliseconds(0));
    if (!message) {
        log::warning("broker", "it is gone: {}", message.error().what);
        broker_ = platform::Channel();
        broker_asked_ = false;
        broker_key_.clear();
        return;
    }
    if (!*message) return;
    auto json = parse_json((*message)->text);
    if (!json) return log::error("broker", "it sent what is no JSON: {}", json.error().what);
    if (const Json* opened = json->find("opened"); opened != nullptr) {
        if (JobRun* run = find((*opened)["key"].as_string()); run != nullptr) run->on_opened(*opened);
    } else if (const Json* key = json->find("sealingKey"); key != nullptr) {
        broker_key_ = from_base64(key->as_string()).value_or("");
        const Json open = (*json)["open"];
        for (const auto& [id, run] : runs_) run->on_sealing_key(open.find(id));
    }
}

}  // namespace mill::agent
