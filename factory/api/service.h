// factory/api/service.h -- what the handlers stand on. Private to factory/api.
#pragma once

#include <atomic>
#include <set>

#include "factory/agents/admissions.h"
#include "factory/agents/factory_key.h"
#include "factory/agents/sessions.h"
#include "factory/agents/tokens.h"
#include "factory/api/api.h"
#include "factory/api/call.h"
#include "factory/api/event_stream.h"
#include "factory/api/input_schemas.h"
#include "factory/api/later.h"
#include "factory/api/limits.h"
#include "factory/api/log_waiters.h"
#include "factory/api/chat_refusals.h"
#include "factory/check/checker.h"

namespace mill::factory {

struct Service {
    Service(ApiOptions given, Core& the_core, const Vault& the_vault, std::unique_ptr<PackageChecker> the_checker, FactoryKey the_key, Clock& the_clock);
    ~Service();   ///< waits for answers of checker and core that are under way: they refer to this

    ApiOptions options;
    Core& core;
    const Vault& vault;
    FactoryKey key;
    Clock& clock;
    Tokens tokens;
    CallLimits limits;
    AgentSessions sessions;
    Admissions admissions;
    InputSchemaCache inputs;
    LogWaiters log_waiters;
    Later later;            ///< timed calls
    Worker worker;          ///< long work, one after the other
    std::unique_ptr<PackageChecker> checker;
    EventStream events;
    ChatRefusals chat_refusals;
    std::atomic<std::uint64_t> calls{0}, refused{0}, limited{0}, runs{0};

    std::string base_url(const HttpCall& call) const;
    std::string status_url(const HttpCall& call, std::string_view job) const;

    std::mutex audiences_mutex;
    std::set<std::string> audiences;   ///< token URLs ever given to an agent; durable as a setting
    void remember_audience(const std::string& url);
};

}  // namespace mill::factory
