// agent/attend/attend.h -- `millwright-agent attend` and `open`: the person's faces in a terminal, clients of DIR/person and DIR/companion.
#pragma once

#include <string>

namespace mill::agent {

struct AttendOptions {
    std::string data_folder;
    bool json = false;           ///< what the person may see, as one document, and nothing is asked
};
struct OpenOptions {
    std::string data_folder;
    std::string what = "launcher", id;
    bool print = false;          ///< the link, instead of the browser
};

/// Prints and reads until the person leaves; the exit status: 0 done, 2 no answer, 3 no attended agent runs there, 78 refused.
int attend(const AttendOptions& options);
/// 0 done, 2 no browser or no answer, 3 no companion runs there, 78 refused.
int open_page(const OpenOptions& options);

}  // namespace mill::agent
