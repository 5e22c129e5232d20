// platform/base/spellings.h -- finds secrets in a text, in whatever way they are written there. The engine of redact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mill {

/// A secret is found as it is; percent-encoded in either case, whole or in part, with '+' for a space, and encoded again; with JSON's
/// escapes, also of a JSON text inside a JSON text; and in base64 of either alphabet at each of the three offsets inside a longer text.
/// One pass over the text whatever the number of secrets: only where two characters stand that can begin a secret is one compared.
class Spellings {
public:
    Spellings() : begins_(kPairs / 64) {}
    void add(std::string_view secret);  ///< at least 4 bytes
    bool knows(std::string_view secret) const;

    struct Place {
        std::size_t begin = 0, end = 0;
    };
    /// The first secret at or behind `from`, together with those that overlap it.
    std::optional<Place> find(std::string_view text, std::size_t from) const;
    /// Where a secret may begin that goes on behind the end of the text, of which at least `least` characters stand in it; the text's
    /// size when there is none.
    std::size_t unfinished(std::string_view text, std::size_t least) const;

private:
    static constexpr std::size_t kPairs = 65536;
    struct Pattern {
        std::string text;
        bool base64 = false, mixed_left = false, mixed_right = false;  ///< the character beside it holds some bits of the secret, too
    };
    void put(Pattern pattern);
    void note(char first, char second, std::uint32_t index);
    bool may_begin(std::string_view text, std::size_t at) const
    {
        const std::size_t pair = static_cast<std::size_t>(static_cast<unsigned char>(text[at])) << 8U | static_cast<unsigned char>(text[at + 1]);
        return (begins_[pair / 64] >> (pair % 64) & 1U) != 0;
    }
    std::optional<Place> longest(std::string_view text, std::size_t at) const;

    std::vector<Pattern> patterns_;
    std::vector<std::uint64_t> begins_;                                          // one bit for each pair of characters
    std::unordered_map<std::uint16_t, std::vector<std::uint32_t>> by_pair_;      // → patterns
    std::size_t longest_ = 0;
};

}  // namespace mill
