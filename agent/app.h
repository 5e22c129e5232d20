// agent/app.h -- the agent as the keeper starts it: every object built in order and joined, its threads, its end.
#pragma once

#include <string>

namespace mill::agent {

struct ServeOptions {
    std::string data_folder;
    std::string config_path;
};

/// Runs until it is told to stop. Returns the exit status: 0 stopped, 2 try again, 78 bad configuration.
/// The channel to the keeper is the third inherited object.
int serve(const ServeOptions& options);

}  // namespace mill::agent
