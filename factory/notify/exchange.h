// factory/notify/exchange.h -- one attempt while it is under way. factory/notify/ only.
#pragma once

#include <string>

#include "factory/notify/deliver.h"
#include "platform/base/redact.h"

namespace mill::factory {

inline std::string cut(std::string text)
{
    if (text.size() > kRecordedBody) text.resize(kRecordedBody);
    return text;
}

struct Deliverer::Exchange {
    const std::string& id;
    const Json& request;
    DeliveryOutcome& outcome;
    Redactor redactor;
    std::stop_token stop;
    const Json& kept;                                  ///< what an earlier answer named
    std::optional<ClientCertificate> certificate = {};
    bool judged = false;                               ///< its verdict stands
    Result<platform::HttpResponse> response = fail(Errc::internal, "not sent");

    /// What people see of a request: secrets masked, long bodies cut.
    void record(const platform::HttpRequest& sent)
    {
        Json headers = Json::object();
        for (const auto& [name, value] : sent.headers) headers.set(name, Json(redactor.apply(value)));
        outcome.attempt.request = Json::object({{"method", sent.method}, {"url", redactor.apply(sent.uri)}, {"headers", std::move(headers)}, {"body", cut(redactor.apply(sent.body))}});
    }
    void record(const Result<platform::HttpResponse>& got)
    {
        outcome.attempt.status = got ? got->status : 0;
        outcome.attempt.response = got ? cut(redactor.apply(got->body)) : std::string();
        if (!got) outcome.attempt.error = redactor.apply(got.error().what);
    }
    /// Ends the attempt without an answer from the receiver.
    void refuse(DeliveryOutcome::Verdict verdict, std::string why)
    {
        outcome.verdict = verdict;
        outcome.attempt.error = redactor.apply(why);
        if (outcome.attempt.request.is_null())
            outcome.attempt.request = Json::object({{"method", request["method"]}, {"url", request["url"]}, {"headers", Json::object()}, {"body", cut(request["body"].as_string())}});
    }
};

}  // namespace mill::factory
