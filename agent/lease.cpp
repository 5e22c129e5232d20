#include "agent/lease.h"

#include <algorithm>

#include "platform/base/log.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::chrono::seconds kRenewalAnswer{10}, kRenewalGrace{60};

}  // namespace

SteadyTime lease_end(SteadyTime sent, Milliseconds lease)
{
    return sent + lease * 3 / 4;
}

void Lease::run(std::stop_token stop)
{
    Backoff backoff;
    const auto promise = [this](Milliseconds time) {
        if (vital_ != nullptr) vital_->within(time + kRenewalGrace);
    };
    for (;;) {
        if (vital_ != nullptr) vital_->idle();
        if (!desk_.wait_held(stop) || stop.stop_requested()) return;
        // The offer itself is the first lease: most jobs end before a renewal is due.
        promise(Milliseconds(period_ms_.load()));
        if (!clock_.sleep(Milliseconds(period_ms_.load()), stop)) return;
        Refusal refusal;
        for (;;) {
            promise(kRenewalAnswer * 2);  // a kept connection that died is followed by a second try
            auto done = renew(stop, refusal);
            if (stop.stop_requested()) return;
            if (vital_ != nullptr) done ? vital_->good() : vital_->bad(done.error().what);
            if (done) break;
            log::warning("lease", "not renewed: {}", done.error().what);
            const Milliseconds pause = std::min(backoff.next(refusal), Milliseconds(period_ms_.load() / 3));
            promise(pause);
            if (!clock_.sleep(pause, stop)) return;
        }
        backoff.reset();
    }
}

Status Lease::renew(std::stop_token stop, Refusal& refusal)
{
    std::vector<Holding> held = desk_.held();
    std::erase_if(held, [](const Holding& holding) { return holding.begun_here; });
    if (held.empty()) return {};
    Json::Array attempts;
    for (const Holding& holding : held) attempts.push_back(to_json(holding.id));
    const SteadyTime sent = clock_.steady();
    auto answer = factory_.post(protocol::route::kLeases, dump_json(Json::object({{"attempts", Json(std::move(attempts))}})),
                                kRenewalAnswer, stop, &refusal);
    if (!answer) return fail(std::move(answer.error()));
    for (const Json& item : (*answer)["attempts"].as_array()) {
        auto id = protocol::parse_attempt_id(item);
        if (!id) return fail("leases", std::move(id.error()));
        const std::string& standing = item["standing"].as_string();
        if (standing == "stale" || standing == "final") {
            tell_(command::Drop{*id, "the factory says this attempt is " + standing});
            continue;
        }
        if (const Json* cancel = item.find("cancel"); cancel != nullptr && !cancel->is_null())
            tell_(command::Cancel{*id, (*cancel)["by"].as_string(), (*cancel)["why"].as_string()});
        const auto holding = std::find_if(held.begin(), held.end(), [&](const Holding& one) { return one.id == *id; });
        if (holding != held.end() && holding->repeatable) tell_(command::Lease{*id, lease_end(sent, holding->lease)});
    }
    return {};
}

}  // namespace mill::agent
