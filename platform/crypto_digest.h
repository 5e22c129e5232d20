// platform/crypto_digest.h -- a SHA-256 that is fed piece by piece.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace mill::platform {

class Digest {
public:
    Digest();
    ~Digest();
    Digest(const Digest&) = delete;
    Digest& operator=(const Digest&) = delete;
    void add(std::string_view bytes);
    std::string text();  ///< "sha256:HEX"; ends it

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// In hex. Broken as a digest: for HTTP digest authentication with servers that have nothing better, only.
std::string md5_hex(std::string_view bytes);

}  // namespace mill::platform
