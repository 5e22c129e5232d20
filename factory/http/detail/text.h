// factory/http/detail/text.h -- the text of HTTP that needs no library: targets, queries, reply heads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "factory/http/server.h"

namespace mill::factory::detail {

struct Target {
    std::string path;
    std::vector<std::pair<std::string, std::string>> query;
};
/// Reads origin form ("/a?b=c") and absolute form; '+' in a query is a space. Errors: invalid.
Result<Target> read_target(std::string_view text);

/// How a reply is framed on the wire.
enum class Framing { length, chunked, until_close };

/// Status line and headers with the empty line. Control characters in values become spaces. `length` counts with Framing::length only.
std::string reply_head(const HttpReply& reply, Framing framing, std::size_t length, bool keep_alive, std::string_view reason);
std::string chunk(std::string_view piece);

/// A problem document (RFC 7807) of the server itself.
HttpReply problem_reply(int status, std::string_view title, std::string_view detail);

}  // namespace mill::factory::detail
