// platform/posix/capture.h -- runs a child to its end with its standard streams in our hands. For platform/ only.
#pragma once

#include <functional>

#include "platform/process.h"

namespace mill::platform {

/// The child's ends of its standard streams.
struct Streams {
    const Handle &in, &out, &err;
};

struct CapturedChild {
    const Handle* end = nullptr;             ///< readable when it has ended
    std::function<void()> ask;                 ///< SIGTERM; needed when there is a grace
    std::function<void()> kill;
    std::function<Result<Ending>()> collect;   ///< after its end: ends what it left running, too
};

struct CaptureLimits {
    std::size_t output = 0;                    ///< of each stream; the rest is read and dropped
    bool end_when_full = false;                ///< more than that on standard output ends it
    std::optional<std::chrono::milliseconds> time;
    std::chrono::milliseconds grace{0};        ///< from `ask` to `kill`; 0: it is not asked
};

/// `name` is for errors. Errors: those of `start`; internal (it does not end though killed).
Result<Captured> capture(const std::string& name, const std::function<Result<CapturedChild>(const Streams&)>& start, std::string_view input,
                         const CaptureLimits& limits, std::stop_token stop);

}  // namespace mill::platform
