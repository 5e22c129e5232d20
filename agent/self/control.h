// agent/self/control.h -- what a person or a program of this machine may ask of the running agent, as routes of its local socket.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "agent/self/pause.h"
#include "platform/local_http.h"

namespace mill::agent {

/// How the agent is to end.
struct Leave {
    bool again = false;              ///< started again at once by the keeper, with new settings or programs; jobs go on
    bool finish_jobs = false;        ///< wait for what runs, at most `within`; else it is cancelled
    Milliseconds within{30'000};
    std::string why;                 ///< the factory is told so
};

/// Called on the socket's thread; none may block for long.
struct ControlPorts {
    std::function<Json()> status;
    std::function<Status()> check_settings;          ///< reads the files anew; what is wrong with them
    std::function<Status(std::optional<Pause>)> pause;
    std::function<void(Leave)> leave;
    std::function<Status()> check_programs;          ///< whether those on the disk start at all
    std::function<void()> renew;                     ///< newer programs are on the disk
    const Clock* clock = nullptr;
};

/// GET /status, /healthz, /metrics (Prometheus text format 0.0.4); POST /reload, /renew, /pause {why, for|until}, /resume, /stop {after, within, why}.
/// Errors are {detail} with 400, 404, 405 or 409.
platform::LocalHandler control_routes(ControlPorts ports);
/// The reading ones alone, for a port of loopback: no word of jobs.
platform::LocalHandler metrics_routes(std::function<Json()> status);

/// DIR/control
std::string control_path(const std::string& data_folder);

}  // namespace mill::agent
