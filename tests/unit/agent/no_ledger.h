// tests/unit/agent/no_ledger.h -- a ledger that takes everything and keeps the names of some calls.
#pragma once
#include <string>
#include <vector>

#include "agent/ledger.h"

namespace mill::test {

using agent::Ledger;
using protocol::AttemptId;

struct NoLedger : Ledger {
    Status taken(const AttemptId&, const std::string&) override { return {}; }
    Status started(const AttemptId&, const protocol::Event&, SteadyTime) override { return {}; }
    Status event(const AttemptId&, const protocol::Event&) override { return {}; }
    Status sync() override { return {}; }
    void extra(const AttemptId&, const Json&) override {}
    void ask(const AttemptId&, const Json&) override { passed.emplace_back("ask"); }
    void unask(const AttemptId&, const std::string&, const std::string&) override { passed.emplace_back("unask"); }
    void heard(const AttemptId&, const std::string&) override { passed.emplace_back("heard"); }
    void told(const AttemptId&, const protocol::Event&) override { passed.emplace_back("told"); }
    void waits(const AttemptId&, bool) override { passed.emplace_back("waits"); }
    Status keep(const AttemptId&, std::uint64_t, const Json&) override
    {
        passed.emplace_back("keep");
        return {};
    }
    std::vector<std::string> passed;
    void not_held(const AttemptId&, const std::string&) override {}
    void released(const AttemptId&) override {}
};

}  // namespace mill::test
