// Any bytes as a request target, a reply's header and a listen address: decoded or refused, and no reply head can be split.
#include <cstdlib>
#include <string_view>

#include "factory/http/detail/text.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size)
{
    using namespace mill::factory;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto target = detail::read_target(text))
        if (target->path.empty() || target->path.front() != '/') std::abort();
    HttpReply reply;
    reply.headers = {{"X-Test", std::string(text)}};
    reply.content_type = std::string(text);
    const std::string head = detail::reply_head(reply, detail::Framing::length, 1, true, "OK");
    std::size_t lines = 0;
    for (std::size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) ++lines;
    if (lines != (text.empty() ? 5U : 6U)) std::abort();
    return 0;
}
