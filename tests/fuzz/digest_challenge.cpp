// What a server says in WWW-Authenticate: read, and answered when it can be.
#include <cstdint>
#include <string>
#include <vector>

#include "agent/broker/digest.h"

using namespace mill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto challenge = broker::choose_challenge(std::vector<std::string>{std::string(reinterpret_cast<const char*>(data), size)});
    if (!challenge) return 0;
    const std::string answer = broker::digest_header(*challenge, "user", "password", "GET", "/", 1, "nonce");
    check(answer.starts_with("Digest username="), "an answer is one");
    return 0;
}
