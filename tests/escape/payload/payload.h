// tests/escape/payload/payload.h -- what the hostile program's verbs share. Linux only; no code of Millwright but confine() and confine_files().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace payload {

/// The arguments of a verb; one that is missing is empty.
class Words {
public:
    explicit Words(std::vector<std::string> words) : words_(std::move(words)) {}
    const char* text(std::size_t at) const { return at < words_.size() ? words_[at].c_str() : ""; }
    std::uint64_t number(std::size_t at) const;  ///< decimal, 0x…, -1; "self" and "parent" are process ids
    std::size_t size() const { return words_.size(); }

private:
    std::vector<std::string> words_;
};

/// One attempt. What it says is one line: "got", "got DETAIL" or "refused ERRNO".
struct Verb {
    const char* name;
    std::string (*run)(const Words& words);
};

std::string got(const std::string& detail = {});
std::string refused();                            ///< by errno
std::string outcome(long result);                 ///< refused when it is negative
std::string first_bytes(int file, const char* path);  ///< opened and read, as got()

std::vector<Verb> file_verbs();
std::vector<Verb> network_verbs();
std::vector<Verb> kernel_verbs();
std::vector<Verb> resource_verbs();
std::vector<Verb> lifetime_verbs();

}  // namespace payload
