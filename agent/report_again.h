// agent/report_again.h -- a factory whose store is an older one hears again what it had acknowledged, and what it does not know it gave.
#pragma once

#include <stop_token>
#include <string>

#include "agent/factory_client.h"
#include "agent/journal.h"

namespace mill::agent {

/// Everything that the journal still has, an attempt at a time; then that this was all. Blocks: for the answers. Saying it twice is fine.
/// Errors: those of FactoryClient.
Status report_again(Journal& journal, FactoryClient& factory, const std::string& token, std::stop_token stop, Refusal& refusal);

}  // namespace mill::agent
