#include "workflows/pointer.h"

#include <charconv>
#include <string>

#include "platform/base/encode.h"

namespace mill::workflows {

const Json* at_pointer(const Json& document, std::string_view fragment)
{
    const Result<std::string> decoded = percent_decode(fragment);
    if (!decoded || (!decoded->empty() && decoded->front() != '/')) return nullptr;
    const Json* here = &document;
    std::string_view rest = *decoded;
    while (!rest.empty() && here != nullptr) {
        rest.remove_prefix(1);
        const std::string_view token = rest.substr(0, rest.find('/'));
        rest.remove_prefix(token.size());
        std::string key;
        for (std::size_t i = 0; i < token.size(); ++i) {
            if (token[i] == '~' && i + 1 < token.size()) key += token[++i] == '1' ? '/' : '~';
            else key += token[i];
        }
        if (here->is_array()) {
            std::size_t index = 0;
            const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), index);
            here = code == std::errc() && end == key.data() + key.size() && index < here->size() ? &(*here)[index] : nullptr;
        } else {
            here = here->find(key);
        }
    }
    return here;
}

const Json* referred_by(const Json& document, std::string_view reference)
{
    if (!reference.starts_with('#')) return nullptr;
    while (reference.ends_with('/')) reference.remove_suffix(1);
    return at_pointer(document, reference.substr(1));
}

}  // namespace mill::workflows
