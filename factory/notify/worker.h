// factory/notify/worker.h -- takes due deliveries from the outbox and sends them, many at once, none waiting for another's slow receiver.
#pragma once

#include <memory>

#include "factory/core.h"
#include "factory/notify/deliver.h"
#include "factory/notify/evaluated.h"

namespace mill::factory {

struct WorkerOptions {
    std::size_t threads = 16;          ///< started when needed, ended after 30 s without work
    std::size_t per_destination = 4;   ///< at once; 1 while its last attempt had no answer
    std::size_t mails = 4;             ///< senders for mail at most, beside the others: a mail server may take its time
    std::size_t claimed = 2048;        ///< deliveries held in memory at most
};

/// Woken by Wakeups (topic deliveries) and by each end of an attempt. What is claimed when the process ends is due again at the next
/// start. Thread: any.
class DeliveryWorker {
public:
    virtual ~DeliveryWorker() = default;   ///< stops
    virtual void stop() = 0;               ///< takes no more; attempts under way are cut off and stay due
};
/// `late` renders what waits for jq, and what it makes is stored before it is sent; none: such a delivery is dead.
std::unique_ptr<DeliveryWorker> start_delivery_worker(WorkerOptions options, Core& core, Deliverer& deliverer, LateRenderer late = {});

/// POST /v1/notifiers/{name}/test: renders `sample_job` and sends it once, outside the outbox.
/// {ok, request {method,url,headers,body}, response {status, body} or absent, error or absent}. Blocks: for the attempt.
Result<Json> try_notifier(const Document& notifier, const Json& sample_job, const Renderer& renderer, Deliverer& deliverer, const LateRenderer& late = {});

/// Credentials of the store, opened. `open` is the vault's.
CredentialSource stored_credentials(Core& core, std::function<Result<Json>(const CredentialRecord&)> open, const Clock& clock);

/// Documents of earlier versions held the signature's secret itself: seals it as credential NOTIFIER-signing, and the document names that.
/// Warns of headers that are secret: those wait for a person. Called before the worker starts. Blocks: for the store.
Status move_stored_secrets(Core& core, const std::function<std::string(const std::string& name, const Json& values)>& seal);

}  // namespace mill::factory
