// agent/local_starts.h -- jobs that begin here while their factory is away: run as any other, and reported when it has been told of them.
#pragma once

#include <functional>

#include "agent/desk.h"
#include "agent/fetcher.h"
#include "agent/journal.h"
#include "agent/person/starts_here.h"
#include "agent/questions.h"

namespace mill::agent {

/// Durable is the journal: an attempt whose offer has `terms` and of which nothing was acknowledged is one that its factory may know nothing of.
class LocalStarts : public StartsHere {
public:
    struct Parts {
        const std::string& data_folder;
        Journal& journal;
        Desk& desk;
        Questions& questions;
        Mailbox<Fetch>& fetches;
        const Clock& clock;
        std::function<Result<protocol::Permissions>(const protocol::Offer&)> admit;
        std::function<void(Command)> tell;
    };
    explicit LocalStarts(Parts parts) : parts_(std::move(parts)) {}

    bool has_package(const std::string& digest) const override;
    Result<std::string> begin(const Launch& launch, const Json& terms, const Json& schema) override;
    std::vector<Json> begun() const override;
    void is_known(const protocol::AttemptId& id) override;
    void refuse(const protocol::AttemptId& id, const std::string& why) override;

private:
    Parts parts_;
};

}  // namespace mill::agent
