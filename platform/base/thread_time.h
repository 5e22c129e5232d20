// platform/base/thread_time.h -- the processor time that a thread has used.
#pragma once

#include <chrono>

#include <pthread.h>

namespace mill {

/// Names the thread that made it; another one may ask, while that thread lives.
class ThreadTime {
public:
    ThreadTime() : thread_(pthread_self()) {}
    /// POSIX: pthread_getcpuclockid. Zero where there is no such clock.
    std::chrono::nanoseconds used() const;

private:
    pthread_t thread_;
};

}  // namespace mill
