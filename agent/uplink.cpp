#include "agent/uplink.h"

#include <algorithm>

#include "platform/base/log.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::chrono::seconds kReportAnswer{30}, kReportGrace{60};
constexpr std::size_t kBatchBytes = 1024 * 1024;  // a final state with a large output goes alone

/// The events' texts are JSON already: they are put in as they are.
std::string body_of(const std::vector<Journal::Batch>& batches)
{
    std::string body = R"({"attempts":[)";
    for (const Journal::Batch& batch : batches) {
        if (body.back() != '[') body += ',';
        std::string head = dump_json(to_json(batch.id));
        head.pop_back();
        body += head + R"(,"events":[)";
        for (std::size_t i = 0; i < batch.events.size(); ++i) {
            if (i > 0) body += ',';
            body += batch.events[i];
        }
        body += "]}";
    }
    return body + "]}";
}

}  // namespace

void Uplink::run(std::stop_token stop)
{
    Backoff backoff;
    bool failing = false;
    const auto promise = [this](Milliseconds time) {
        if (vital_ != nullptr) vital_->within(time + kReportGrace);
    };
    for (;;) {
        if (vital_ != nullptr) vital_->idle();
        if (!journal_.wait_pending(std::nullopt, stop) || stop.stop_requested()) return;
        promise(kReportAnswer * 2);  // a kept connection that died is followed by a second try
        auto batches = journal_.pending(kBatchBytes);
        Refusal refusal;
        Status sent = batches ? send(*batches, stop, refusal) : Status(fail(std::move(batches.error())));
        if (sent) {
            if (failing) log::info("uplink", "reports arrive again");
            failing = false;
            backoff.reset();
            if (vital_ != nullptr) vital_->good();
            continue;
        }
        if (stop.stop_requested()) return;
        if (vital_ != nullptr) vital_->bad(sent.error().what);
        if (failing) log::debug("uplink", "still not: {}", sent.error().what);
        if (!failing) log::warning("uplink", "reports wait on this disk: {}", sent.error().what);
        failing = true;
        const Milliseconds pause = backoff.next(refusal);
        promise(pause);
        factory_.pulse().wait(pause, refusal, stop);
    }
}

Status Uplink::send(const std::vector<Journal::Batch>& batches, std::stop_token stop, Refusal& refusal)
{
    if (batches.empty()) return {};
    auto answer = factory_.post(protocol::route::kEvents, body_of(batches), kReportAnswer, stop, &refusal);
    if (!answer) return fail(std::move(answer.error()));
    bool progress = false;
    for (const Json& item : (*answer)["attempts"].as_array()) {
        auto id = protocol::parse_attempt_id(item);
        if (!id) return fail("events", std::move(id.error()));
        for (const Json& refused : item["refused"].as_array())
            log::warning("uplink", "{}: the factory refused event {}: {}", id->key(), refused["sequence"].as_integer(), refused["why"].as_string());
        const std::int64_t sequence = item["acknowledged"].as_integer();
        if (sequence > 0) {
            const bool ours = std::any_of(batches.begin(), batches.end(), [&](const Journal::Batch& batch) { return batch.id == *id; });
            if (auto done = journal_.acknowledge(*id, static_cast<std::uint64_t>(sequence)); !done) return done;
            progress = progress || ours;
        }
        const std::string& standing = item["standing"].as_string();
        if (standing == "stale" || standing == "final") stale_(*id, standing);
    }
    // A factory that acknowledges nothing of what it was sent would be asked again without a pause.
    if (!progress) return fail(Errc::unavailable, "the factory acknowledged none of the events");
    return {};
}

}  // namespace mill::agent
