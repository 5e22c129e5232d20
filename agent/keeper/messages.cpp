#include "agent/keeper/messages.h"

#include <cstdint>
#include <charconv>

#include "platform/base/encode.h"

namespace mill::keeper {
namespace {

// A list is: count, then each word with its length in front; all numbers are 32 bits, lowest byte first.
constexpr std::size_t kMaxWords = 4096;

void put(std::string& out, std::size_t number)
{
    for (int i = 0; i < 4; ++i) out += static_cast<char>(number >> (8 * i) & 0xFFU);
}

bool take(std::string_view& bytes, std::size_t& number)
{
    if (bytes.size() < 4) return false;
    number = 0;
    for (int i = 0; i < 4; ++i) number |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)])) << (8 * i);
    bytes.remove_prefix(4);
    return true;
}

}  // namespace

bool is_key(std::string_view text)
{
    const auto bytes = from_base64(text);
    return bytes && bytes->size() == 32;
}

std::string encode(const Words& words)
{
    std::string out;
    put(out, words.size());
    for (const std::string& word : words) {
        put(out, word.size());
        out += word;
    }
    return out;
}

Result<Words> decode(std::string_view bytes)
{
    std::size_t count = 0;
    if (!take(bytes, count) || count > kMaxWords) return fail(Errc::corrupt, "not a list of words");
    Words words;
    for (std::size_t i = 0; i < count; ++i) {
        std::size_t size = 0;
        if (!take(bytes, size) || size > bytes.size()) return fail(Errc::corrupt, "a list of words that ends too early");
        words.emplace_back(bytes.substr(0, size));
        bytes.remove_prefix(size);
    }
    if (!bytes.empty()) return fail(Errc::corrupt, "a list of words with something behind it");
    return words;
}

std::string encode(const SandboxRequest& request)
{
    const auto flag = [](bool value) { return std::string(value ? "1" : "0"); };
    Words words{request.package_path, flag(request.commands), flag(request.bridge), flag(request.limits_stated), request.user};
    for (const std::uint64_t number : {request.memory, request.cpu_ms, request.time_ms, request.processes, request.output})
        words.push_back(std::to_string(number));
    words.push_back(std::to_string(request.read.size()));
    words.insert(words.end(), request.read.begin(), request.read.end());
    words.insert(words.end(), request.write.begin(), request.write.end());
    return encode(words);
}

Result<SandboxRequest> decode_request(std::string_view bytes)
{
    auto words = decode(bytes);
    if (!words) return fail(words.error());
    const auto wrong = [] { return fail(Errc::corrupt, "not a request for a sandbox"); };
    const auto flag = [](const std::string& word) { return word == "0" || word == "1"; };
    const auto number = [](const std::string& word, std::uint64_t& out) {
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out);
        return error == std::errc() && end == word.data() + word.size();
    };
    SandboxRequest out;
    if (words->size() < 11 || !flag((*words)[1]) || !flag((*words)[2]) || !flag((*words)[3])) return wrong();
    out.package_path = (*words)[0];
    out.commands = (*words)[1] == "1";
    out.bridge = (*words)[2] == "1";
    out.limits_stated = (*words)[3] == "1";
    out.user = (*words)[4];
    std::uint64_t reads = 0;
    std::size_t at = 5;
    for (std::uint64_t* field : {&out.memory, &out.cpu_ms, &out.time_ms, &out.processes, &out.output, &reads})
        if (!number((*words)[at++], *field)) return wrong();
    if (reads > words->size() - at) return wrong();
    const auto middle = words->begin() + static_cast<std::ptrdiff_t>(at + reads);
    out.read.assign(words->begin() + static_cast<std::ptrdiff_t>(at), middle);
    out.write.assign(middle, words->end());
    return out;
}

}  // namespace mill::keeper
