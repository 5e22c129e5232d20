// platform/base/result.h -- how a call says that it could not do its part.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace mill {

/// What the caller can do about it; the words are in `Error::what`.
enum class Errc {
    invalid,      ///< the input is wrong: correct it
    denied,       ///< not allowed: somebody must grant it
    not_found,    ///< no such thing
    conflict,     ///< it is in a state that does not admit this
    too_large,    ///< over a size, depth or count limit
    unavailable,  ///< not reachable now: try again later
    timeout,      ///< no answer in time: try again later
    cancelled,    ///< stopped on request
    corrupt,      ///< stored or received data is damaged
    internal,     ///< our own failure
};

std::string_view name(Errc code);

struct [[nodiscard]] Error {
    Errc code = Errc::internal;
    std::string what;  ///< for a person: names the thing and the place, no final period
};

template <class T> using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string what)
{
    return tl::unexpected<Error>(Error{code, std::move(what)});
}

[[nodiscard]] inline tl::unexpected<Error> fail(Error error)
{
    return tl::unexpected<Error>(std::move(error));
}

/// The same error with "context: " before its words.
[[nodiscard]] tl::unexpected<Error> fail(std::string_view context, Error error);

/// Trying the same call later can help.
inline bool is_retryable(const Error& error)
{
    return error.code == Errc::unavailable || error.code == Errc::timeout;
}

/// Ends the process when `condition` is false: for our own bugs, never for input.
void check(bool condition, std::string_view what);

}  // namespace mill
