#include "agent/lease.h"

#include <algorithm>

#include "platform/base/log.h"
#include "protocol/version.h"

namespace mill::agent {

SteadyTime lease_end(SteadyTime sent, Milliseconds lease)
{
    return sent + lease * 3 / 4;
}

void Lease::run(std::stop_token stop)
{
    Backoff backoff;
    while (desk_.wait_held(stop) && !stop.stop_requested()) {
        // The offer itself is the first lease: most jobs end before a renewal is due.
        if (!clock_.sleep(Milliseconds(period_ms_.load()), stop)) return;
        Refusal refusal;
        for (;;) {
            auto done = renew(stop, refusal);
            if (done || stop.stop_requested()) break;
            log::warning("lease", "not renewed: {}", done.error().what);
            if (!clock_.sleep(std::min(backoff.next(refusal), Milliseconds(period_ms_.load() / 3)), stop)) return;
        }
        backoff.reset();
    }
}

Status Lease::renew(std::stop_token stop, Refusal& refusal)
{
    const std::vector<Holding> held = desk_.held();
    if (held.empty()) return {};
    Json::Array attempts;
    for (const Holding& holding : held) attempts.push_back(to_json(holding.id));
    const SteadyTime sent = clock_.steady();
    auto answer = factory_.post(protocol::route::kLeases, dump_json(Json::object({{"attempts", Json(std::move(attempts))}})),
                                std::chrono::seconds(10), stop, &refusal);
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
