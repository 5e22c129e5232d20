#include <cstdlib>

#include <poll.h>
#include <unistd.h>

#include "platform/orphan.h"

namespace mill::platform {

bool starter_lives(const std::string& said)
{
    const int life = static_cast<int>(std::strtol(said.c_str(), nullptr, 10));
    if (life < 3) return false;
    pollfd look{life, 0, 0};
    const bool lives = ::poll(&look, 1, 0) == 0;   // POLLERR: the starter alone could read what is written here
    ::close(life);
    return lives;
}

}  // namespace mill::platform
