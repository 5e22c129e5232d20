// agent/self/rounds.h -- the factory asks this agent to examine itself: its doctor runs as a child, and the report goes to the factory.
#pragma once

#include <mutex>
#include <string>
#include <thread>

#include "agent/factory_client.h"
#include "agent/self/doctor.h"

namespace mill::agent {

/// Runs `millwright-agent doctor`, a minute at most, and reads its report. Errors: timeout, unavailable, corrupt; texts for a person at the factory.
Result<std::vector<Finding>> doctor_in_child(const DoctorOptions& options, std::stop_token stop);

/// One examination at a time, on a thread that is there as long as it takes: none of the agent's loops waits for it. Thread: any.
class Rounds {
public:
    Rounds(DoctorOptions options, const Identity& identity, const Config& config, Tokens& tokens)
        : options_(std::move(options)), identity_(identity), config_(config), tokens_(tokens)
    {
    }
    /// Returns at once. The same ask again, or one while another is answered, does nothing: the factory says it again.
    void begin(const std::string& id);
    void stop();   ///< ends one that is under way; none begins afterwards

private:
    void answer(const std::string& id, std::stop_token stop);

    DoctorOptions options_;
    const Identity& identity_;
    const Config& config_;
    Tokens& tokens_;
    std::mutex mutex_;
    std::string id_;
    bool busy_ = false;
    std::jthread thread_;   // last: joined first
};

}  // namespace mill::agent
