// agent/broker/opening.h -- an attempt that is about to be opened: some of its credentials are held by this machine and are looked for.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/broker/effects.h"
#include "protocol/sealed.h"

namespace mill::broker {

class Opening {
public:
    /// `boxed`: what the factory sealed. Errors: corrupt (a credential that the machine should hold has no name).
    static Result<Opening> begin(std::string key, Json permissions, protocol::Boxed boxed, std::string missing);

    const std::string& key() const { return key_; }
    const std::set<std::string>& waits_for() const { return waits_; }  ///< names of credentials of this machine
    /// `text` is the file of the machine's credential `name`, YAML or JSON. Errors: invalid (says the name and the mistake, never a value).
    Status take(const std::string& name, const Result<std::string>& text);
    /// When it waits for nothing. Errors: as make_grants.
    Result<std::shared_ptr<const Grants>> grants();

private:
    std::string key_;
    Json permissions_, credentials_, machine_;
    std::map<std::string, std::vector<std::string>> machine_hosts_;
    std::set<std::string> kept_;  // names whose values this machine's owner lets no job have
    std::string missing_;
    std::set<std::string> waits_;
};

}  // namespace mill::broker
