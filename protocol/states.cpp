#include "protocol/states.h"

#include <array>
#include <utility>

namespace mill::protocol {
namespace {

constexpr std::pair<JobState, std::string_view> kStates[] = {
    {JobState::ready, "ready"},           {JobState::assigned, "assigned"}, {JobState::running, "running"},
    {JobState::waiting, "waiting"},       {JobState::successful, "successful"}, {JobState::failed, "failed"},
    {JobState::cancelled, "cancelled"},   {JobState::expired, "expired"}};

constexpr std::pair<Reason, std::string_view> kReasons[] = {
    {Reason::completed, "completed"},       {Reason::error, "error"},
    {Reason::timeout, "timeout"},           {Reason::refused, "refused"},
    {Reason::invalid_package, "invalid_package"}, {Reason::limit_memory, "limit_memory"},
    {Reason::limit_cpu, "limit_cpu"},       {Reason::limit_processes, "limit_processes"},
    {Reason::limit_output, "limit_output"}, {Reason::limit_steps, "limit_steps"},
    {Reason::runner_lost, "runner_lost"},   {Reason::agent_lost, "agent_lost"},
    {Reason::outcome_unknown, "outcome_unknown"}, {Reason::cancelled_by, "cancelled_by"},
    {Reason::not_started, "not_started"},   {Reason::internal, "internal"}};

template <class Table, class Value>
std::string_view spell(const Table& table, Value value)
{
    for (const auto& [item, text] : table)
        if (item == value) return text;
    return "unknown";
}

template <class Value, class Table>
std::optional<Value> read(const Table& table, std::string_view text)
{
    for (const auto& [item, spelling] : table)
        if (spelling == text) return item;
    return std::nullopt;
}

}  // namespace

std::string_view name(JobState state) { return spell(kStates, state); }
std::string_view name(Reason reason) { return spell(kReasons, reason); }
std::optional<JobState> parse_state(std::string_view text) { return read<JobState>(kStates, text); }
std::optional<Reason> parse_reason(std::string_view text) { return read<Reason>(kReasons, text); }

bool is_final(JobState state)
{
    return state == JobState::successful || state == JobState::failed || state == JobState::cancelled || state == JobState::expired;
}

std::string_view name(AgentMode mode) { return mode == AgentMode::attended ? "attended" : "unattended"; }

std::optional<AgentMode> parse_mode(std::string_view text)
{
    if (text == "attended") return AgentMode::attended;
    if (text == "unattended") return AgentMode::unattended;
    return std::nullopt;
}

}  // namespace mill::protocol
